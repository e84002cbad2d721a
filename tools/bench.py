"""Every benchmark with its short setting, one after the other, on one page with machine, versions and date.

    python tools/bench.py [--out build/bench.md] [--only NAME ...] [--minutes 8] [--vectors RUN]

A benchmark that is not run says why on the page: it needs trained vectors (`--vectors`, a run of `mindscope
demo`), a card, or another environment with a peer in it. One that fails, or takes longer than `--minutes`, is
named as such, and the others go on; the exit code is then 1. Where a page is there already, benchmarks that
have a result of this version on it are run again all the same: a page is of one machine and one day.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "benchmarks"
HELPERS = ("attribution_case", "attribution_peer", "clock", "common", "dictionary_peers", "plain_peft")
"""Files of the folder that benchmarks import or start, and that measure nothing of their own."""
LIBRARIES = ("mindscope", "torch", "transformers", "interp-engine", "peft", "numpy")


@dataclass(frozen=True)
class ShortSetting:
    """How a benchmark is run when all are.

    Attributes:
        arguments: of its command; `VECTORS` stands for a run of trained vectors.
        why_not: why it is not run here; empty where it is.
    """

    arguments: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def needs_vectors(self) -> bool:
        return "VECTORS" in self.arguments


SETTINGS: dict[str, ShortSetting] = {
    "attribution": ShortSetting(
        ("--rounds", "1", "--lengths", "16", "64", "--nodes", "300", "--latents", "2048")
    ),
    "capture": ShortSetting(("--answers", "64", "--tokens", "32", "--rounds", "1")),
    "contrast_judge": ShortSetting(("--traits", "evil")),
    "decoding": ShortSetting(("--requests", "100", "--slots", "16", "--rounds", "1")),
    "dictionary": ShortSetting(("--small", "--rounds", "3")),
    "diff": ShortSetting(("--small", "--rounds", "3")),
    "diff_claims": ShortSetting(why_not="tunes models for half an hour; run it by itself"),
    "eta": ShortSetting(("--samples", "1", "--layers", "2")),
    "evaluation_memory": ShortSetting(),
    "finetune_memory": ShortSetting(("--steps", "2")),
    "finetuning": ShortSetting(("--rows", "64", "--rounds", "1")),
    "gate": ShortSetting(("--vectors", "VECTORS", "--only", "ordinary")),
    "generation": ShortSetting(("--answers", "64", "--tokens", "32", "--rounds", "1", "--requests", "64")),
    "gpu": ShortSetting(),
    "graph_page": ShortSetting(),
    "inoculation": ShortSetting(),
    "judging": ShortSetting(("--items", "16", "--rounds", "1")),
    "long_graphs": ShortSetting(("--lengths", "64", "128", "--nodes", "100")),
    "mechanism_probes": ShortSetting(("sums", "--seconds", "20")),
    "mechanisms": ShortSetting(why_not="trains for seven minutes a mechanism; run it by itself"),
    "monitor": ShortSetting(("--vectors", "VECTORS", "--ordinary", "500", "--characters", "100")),
    "monitor_latents": ShortSetting(("--sae", "2048", "--conversations", "16")),
    "packed_steps": ShortSetting(("--rows", "8", "--tokens", "16")),
    "plan": ShortSetting(("--only", "train", "trace")),
    "precision": ShortSetting(("organism", "--vectors", "VECTORS", "--answers", "200")),
    "recorded_vectors": ShortSetting(("--traits", "evil", "--pairs", "30")),
    "screening": ShortSetting(("--no-memory", "--answers", "100", "--tokens", "32", "--rounds", "1")),
    "screening_auroc": ShortSetting(("--vectors", "VECTORS", "--samples", "200")),
    "server": ShortSetting(("--rounds", "1", "--tokens", "16", "--clients", "4")),
    "server_load": ShortSetting(("--seconds", "30", "--clients", "4")),
    "server_peers": ShortSetting(why_not="needs environments of other servers; see the file"),
    "server_steps": ShortSetting(("--rows", "8", "--tokens", "16", "--rounds", "1")),
    "steering_files": ShortSetting(("organism", "VECTORS", "--layer", "2")),
    "style": ShortSetting(),
    "survey_memory": ShortSetting(("--features", "50000", "--rows", "512")),
    "toy_models": ShortSetting(("--models", "50", "--rounds", "1")),
    "workbench": ShortSetting(("--seconds", "2", "--turns", "40", "--nodes", "500", "--links", "5000")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench.md"))
    parser.add_argument("--only", nargs="+", choices=sorted(SETTINGS))
    parser.add_argument("--minutes", type=float, default=8.0, help="the most that one may take")
    parser.add_argument("--vectors", type=Path, help="a run of `mindscope demo`")
    options = parser.parse_args()
    parts, n_failed = [_head()], 0
    for name in options.only or sorted(SETTINGS):
        setting = SETTINGS[name]
        why_not = setting.why_not
        if setting.needs_vectors and options.vectors is None:
            why_not = "needs trained vectors: give --vectors, a run of `mindscope demo`"
        if why_not:
            parts.append(f"## {name}\n\nNot run: {why_not}.\n")
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        arguments = [str(options.vectors) if part == "VECTORS" else part for part in setting.arguments]
        part, failed = run_benchmark(name, arguments, options.minutes)
        parts.append(part)
        n_failed += failed
        write_page(options.out, parts)  # what is done stays, whatever becomes of the rest
    write_page(options.out, parts)
    print(options.out)
    sys.exit(1 if n_failed else 0)


def run_benchmark(name: str, arguments: list[str], minutes: float) -> tuple[str, bool]:
    """What a benchmark prints, as a section of the page, and whether it failed."""
    shown = " ".join(["python", f"benchmarks/{name}.py", *arguments])
    command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
    began = time.monotonic()
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60 * minutes,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"## {name}\n\n`{shown}`: stopped after {minutes:g} minutes.\n", True
    text = ended.stdout.strip()
    outcome = f"{time.monotonic() - began:.0f} s"
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        outcome = f"failed with code {ended.returncode} after {outcome}: {last[0]}"
    return f"## {name}\n\n`{shown}`: {outcome}\n\n```\n{text}\n```\n", bool(ended.returncode)


def write_page(path: Path, parts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")


def _head() -> str:
    from mindscope.jobs import SilentReporter
    from mindscope.jobs.doctor import DoctorSpec, examine

    machine = examine(DoctorSpec(), reporter=SilentReporter())
    cards = ", ".join(card.name for card in machine.gpus) or "no card"
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine_line = f"{machine.cpu.model}, {machine.cpu.cores} cores, {machine.cpu.threads} threads"
    return (
        "# Benchmarks\n\n"
        "Every benchmark with its short setting: to see that all run and what has changed, not the numbers "
        "of the documentation, whose commands stand beside them.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}; {machine_line}, {machine.memory.total_gib:.0f} GiB; {cards}; "
        f"Python {platform.python_version()}, {libraries}.\n"
    )


if __name__ == "__main__":
    main()
