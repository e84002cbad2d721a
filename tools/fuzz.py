"""Read spoilt files by the million, led by which lines of the readers they reach (atheris).

    python tools/fuzz.py [TARGET ...] [--runs N] [--seconds N] [--corpus FOLDER]

Each target of tests/support/fuzz_kit.py is read in a process of its own, so often or for so long, whichever
ends first. JSON is spoilt as JSON, bytes as bytes. What ends otherwise than in a value or a MindscopeError,
takes more than 20 seconds or more than 4 GB is written beside the corpus: mend the reader, and keep the file
in tests/support/fuzz_findings/TARGET. Prints how many files were read; exit code 1 where something was wrong.
"""

import argparse
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS_A_FILE, MOST_MEGABYTES = 20, 4096
CODE = ["mindscope", "zipfile", "gguf", "tomllib", "csv"]
"""Whose lines are counted."""


def main() -> int:
    """Fuzz all targets that are asked for, one after the other."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--runs", type=int, default=1_000_000, help="files of each cheap target")
    parser.add_argument("--seconds", type=int, default=600, help="the most time for each target")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return fuzz_here(options.inside, options)
    import fuzz_kit

    unknown = {*options.targets} - {*fuzz_kit.TARGETS}
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(fuzz_kit.TARGETS)}")
    n_read = n_found = 0
    for name in options.targets or fuzz_kit.TARGETS:
        count, findings = fuzz_apart(name, options)
        n_read, n_found = n_read + count, n_found + len(findings)
        print(f"{name:<20} {count:>10,} files, {len(findings)} findings", *findings, flush=True)
    print(f"{'all':<20} {n_read:>10,} files, {n_found} findings")
    return 1 if n_found else 0


def fuzz_apart(name: str, options: argparse.Namespace) -> tuple[int, list[str]]:
    """One target in a process of its own: how many files it read, and the files that it fell over."""
    place = options.corpus / name
    (place / "corpus").mkdir(parents=True, exist_ok=True)
    before = {*place.glob("crash-*"), *place.glob("timeout-*"), *place.glob("oom-*")}
    words = [sys.executable, __file__, "--inside", name, "--runs", str(options.runs)]
    words += ["--seconds", str(options.seconds), "--corpus", str(options.corpus)]
    ended = subprocess.run(words, capture_output=True, text=True, errors="replace")
    (place / "log.txt").write_text(ended.stdout + ended.stderr)
    counts = re.findall(r"^(?:Done |stat::number_of_executed_units:\s*|#)(\d+)", ended.stderr, re.MULTILINE)
    after = {*place.glob("crash-*"), *place.glob("timeout-*"), *place.glob("oom-*")}
    found = sorted(map(str, after - before))
    if ended.returncode and not found:
        found = [f"ended with {ended.returncode}: {place / 'log.txt'}"]
    return max(map(int, counts), default=0), found


def fuzz_here(name: str, options: argparse.Namespace) -> int:
    """Hand this process over to the fuzzer, which ends it."""
    import atheris

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with atheris.instrument_imports(include=CODE):
        import fuzz_kit

        target = fuzz_kit.TARGETS[name]
        seeds = target.seeds()
        folder = Path(
            tempfile.mkdtemp(prefix=f"fuzz-{name}-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        for seed in seeds:  # imports what the reader imports late
            fuzz_kit.feed(target, folder, seed)
    place = options.corpus / name
    for number, seed in enumerate(seeds):
        (place / "corpus" / f"seed-{number}").write_bytes(seed)

    def read(content: bytes) -> None:
        try:
            fuzz_kit.feed(target, folder, content)
        except BaseException:  # the fuzzer writes it too, if it is not ended before
            (place / f"crash-{hashlib.sha1(content, usedforsecurity=False).hexdigest()}").write_bytes(content)
            raise

    def change(content: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if draw.random() < (0.8 if target.is_json else 0.2):
            return fuzz_kit.spoil(target, content, draw)[:most]
        return atheris.Mutate(content, most)

    settings = [
        f"-runs={options.runs}",
        f"-max_total_time={options.seconds}",
        f"-timeout={SECONDS_A_FILE}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
        f"-artifact_prefix={place}/",
        f"-max_len={max(4096, 2 * max(map(len, seeds)))}",
        "-print_final_stats=1",
        str(place / "corpus"),
    ]
    atheris.Setup([sys.argv[0], *settings], read, custom_mutator=change)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
