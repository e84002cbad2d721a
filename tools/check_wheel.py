"""Whether a wheel can be used: it is small enough, and runs the demo where nothing of the checkout is.

1. Its size, and that it has the weights and pages that the package reads.
2. It is installed into a new environment, which borrows the libraries of the one that runs this script but
   not its mindscope.
3. In an empty folder there, `mindscope demo --quick` writes its page and its figures.

    python tools/check_wheel.py dist/mindscope-0.1.0-py3-none-any.whl
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

MOST_BYTES = 95_000_000
NEEDED = (".safetensors", ".yaml", ".html", ".css", ".js")
"""Endings of files that are no code and without which commands fail."""


def main(wheel: Path) -> None:
    size = wheel.stat().st_size
    if size >= MOST_BYTES:
        sys.exit(f"{wheel} has {size:,} bytes, and fewer than {MOST_BYTES:,} are wanted")
    names = zipfile.ZipFile(wheel).namelist()
    if lacking := [ending for ending in NEEDED if not any(name.endswith(ending) for name in names)]:
        sys.exit(f"{wheel} has no file that ends in {', '.join(lacking)}")
    with TemporaryDirectory() as folder:
        report = _run_installed(wheel.resolve(), Path(folder).resolve())
    print(f"{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files; demo in {report['seconds']:.0f} s")


def _run_installed(wheel: Path, folder: Path) -> dict[str, float]:
    """Install the wheel below a folder and run its demo there; hands back the demo's figures."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    home = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    )
    # A path in a .pth file is searched last, and the .pth files that lie there, an editable install's among
    # them, are not read.
    (home / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = Path(run(python, "-c", "import mindscope; print(mindscope.__file__)").strip())
    if not found.is_relative_to(home):
        sys.exit(f"the environment takes mindscope from {found}, not from the wheel")
    run(folder / "venv" / "bin" / "mindscope", "demo", "--quick", "--run", "demo")
    if not (folder / "demo" / "report.html").stat().st_size:
        sys.exit("the demo's page is empty")
    summary = json.loads((folder / "demo" / "summary.json").read_text())
    for name, scores in summary["traits"].items():
        if not scores["steered"] > scores["unsteered"] + 10:
            sys.exit(f"the demo steers {name} from {scores['unsteered']} to {scores['steered']} only")
    return summary


if __name__ == "__main__":
    main(Path(sys.argv[1]))
