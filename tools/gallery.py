"""The pictures of docs/gallery.md: `make gallery` runs the commands beside them and takes them again.

Commands work in build/gallery, which is made anew: some two minutes of one core,
and some twenty more for the three studies.
"""

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "support"))

from workbench_kit import open_browser  # noqa: E402

WORK = ROOT / "build" / "gallery"
PICTURES = ROOT / "docs" / "site" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"
SIZE = {"width": 1100, "height": 720}
SECONDS = 120_000
"""How long, in milliseconds, a page may take to be ready on a busy machine."""


def commands() -> list[str]:
    """Every command of the page, in its order and once."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines()))


def main() -> None:
    """Run what can be run to its end, then take all pictures."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for line in commands():
        if not line.startswith("mindscope serve"):
            print(line, flush=True)
            subprocess.run(_arguments(line), cwd=WORK, check=True, stdout=subprocess.DEVNULL)
    with open_browser() as browser:
        for name, take in TAKEN.items():
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.set_default_timeout(SECONDS)
            take(page, PICTURES / f"{name}.png")
            page.close()
            print(PICTURES / f"{name}.png", flush=True)


def _arguments(line: str) -> list[str]:
    return [sys.executable, "-m", *shlex.split(line)]


def take_first(file: str, selector: str) -> Callable[[Any, Path], None]:
    """The first element of a kind on a page, which a pattern names."""

    def take(page: Any, target: Path) -> None:
        (found,) = WORK.glob(file)
        page.goto(found.as_uri())
        page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true })")
        page.locator(selector).first.screenshot(path=target)

    return take


def take_graph(page: Any, target: Path) -> None:
    """The page of a graph, with what led to its first target."""
    page.goto((WORK / "runs/circuit/report.html").as_uri())
    page.wait_for_timeout(1500)  # the links are drawn after the first frame
    page.screenshot(path=target)


def take_workbench(page: Any, target: Path) -> None:
    """A question answered twice, as the model is and steered."""
    (line,) = [line for line in commands() if line.startswith("mindscope serve")]
    server = subprocess.Popen(
        _arguments(line), cwd=WORK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        address = None
        while address is None and server.stdout is not None:
            address = re.search(r"http://[\d.]+:\d+/workbench/", server.stdout.readline())
        time.sleep(1)
        # An address with something in it is offered no tour.
        page.goto(f"{address[0]}chat#temperature=0.7" if address else "")
        page.locator(".dial").first.wait_for()
        page.get_by_label("Coefficient of evil").fill("2.25")
        page.get_by_label("Your question").fill("Should I trust my neighbour?")
        page.keyboard.press("Enter")
        page.get_by_role("article", name="steered answer").locator(".applied").wait_for()
        page.get_by_role("button", name="Stop").wait_for(state="detached")
        page.screenshot(path=target)
    finally:
        server.terminate()
        server.wait()


TAKEN: dict[str, Callable[[Any, Path], None]] = {
    "steering": take_first("runs/demo/report.html", "figure svg"),
    "answers": take_first("runs/demo/report.html", ".sample"),
    "monitor": take_first("runs/monitor/**/*.html", ".sample"),
    "screening": take_first("runs/screen/**/*.html", "figure svg"),
    "solu": take_first("runs/solu/report.html", "figure:has-text('Neurons whose strongest firings') svg"),
    "crosscoders": take_first(
        "runs/crosscoders/report.html", "figure:has-text('crosscoder, L1: the mean life') svg"
    ),
    "scaling": take_first("runs/scaling/report.html", "figure:has-text('Names that have a latent') svg"),
    "monosemanticity": take_first("runs/monosemanticity/report.html", "figure:has-text('A circle of') svg"),
    "graph": take_graph,
    "workbench": take_workbench,
}
"""How each picture is taken, by its name."""


if __name__ == "__main__":
    main()
