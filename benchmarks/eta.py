"""The time left that jobs show after their first tenth, against the time that was then left.

Five jobs on one model, each as the command line calls it: extract, sweep, steer, shift and screen. Wall-clock
seconds; on a machine that others use, their comings and goings are in the errors.

    python benchmarks/eta.py [--model organism] [--trait evil] [--judge exact] [--samples 6] [--json]
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from common import show

from mindscope.core import RemainingTime
from mindscope.jobs import RunFolder
from mindscope.jobs.persona import ExtractSpec, SteerSpec, SweepSpec, extract, steer, sweep
from mindscope.jobs.screen import ScreenSpec, screen
from mindscope.jobs.shift import ShiftSpec, shift
from mindscope.organism.datasets import training_set
from mindscope.store import write_text

LEAST_SECONDS = 3.0
"""Phases that take less are over before anybody reads how long they take."""


@dataclass
class EtaLog:
    """Hears how a job goes, as a terminal does."""

    times: dict[str, RemainingTime] = field(default_factory=dict)
    at_a_tenth: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When a tenth was done, and how long was then said to be left."""
    ends: dict[str, float] = field(default_factory=dict)

    @property
    def progress(self) -> "EtaLog":
        return self

    def __call__(self, done: int, total: int, label: str) -> None:
        remaining = self.times.setdefault(label, RemainingTime())
        remaining.take(done, total)
        left = remaining.left
        if label not in self.at_a_tenth and total / 10 <= done < total and left is not None:
            self.at_a_tenth[label] = time.monotonic(), left
        if done >= total:
            self.ends.setdefault(label, time.monotonic())

    def forecast(self, seconds: float, label: str) -> None:
        if label in self.times:
            self.times[label].forecast(seconds)

    def say(self, text: str) -> None:
        """Nothing."""

    def errors(self) -> dict[str, tuple[float, float]]:
        """By phase: the seconds that were left after a tenth, and those that were said."""
        both = {
            label: (self.ends[label] - then, said)
            for label, (then, said) in self.at_a_tenth.items()
            if label in self.ends
        }
        return {label: pair for label, pair in both.items() if pair[0] >= LEAST_SECONDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--trait", default="evil")
    parser.add_argument("--judge", default="exact")
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--max-new-tokens", type=int, default=200)
    parser.add_argument("--layers", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        errors = _run_all(options, Path(folder))
    rows: dict[str, float] = {}
    for name, (true, said) in errors.items():
        rows |= {f"{name}: left": true, f"{name}: said": said, f"{name}: off by": abs(said - true) / true}
    title = f"time left after the first tenth, on {options.model}, seconds"
    show(title, rows, as_json=options.json)


def _run_all(options: argparse.Namespace, folder: Path) -> dict[str, tuple[float, float]]:
    sizes = {"max_new_tokens": options.max_new_tokens, "seed": 1}
    subject = {"model": options.model, "trait": options.trait, "judge": options.judge}
    run = RunFolder(folder / "run")
    log = EtaLog()
    extract(ExtractSpec(**subject, samples=options.samples, **sizes), run=run, reporter=log)
    layers = tuple(options.layers)
    swept = {"layers": layers, "coefficients": (1.0, 2.0, 3.0), "questions": 10}
    sweep(SweepSpec(**subject, **swept, samples=options.samples // 2, **sizes), run=run, reporter=log)
    where = {"layer": layers[len(layers) // 2], "coefficient": 2.0}
    steer(SteerSpec(**subject, **where, samples=options.samples, **sizes), run=run, reporter=log)
    shift(
        ShiftSpec(
            base=options.model,
            tuned=(options.model,),
            vectors=(run.path,),
            samples=4 * options.samples,
            answers=True,
            **sizes,
        ),
        run=RunFolder(folder / "shift"),
        reporter=log,
    )
    data = folder / "data.jsonl"
    conversations = training_set("evil", "II", 100 * options.samples)
    write_text(data, "".join(_line(item.prompt[-1]["content"], item.answer or "") for item in conversations))
    screen(
        ScreenSpec(data=data, model=options.model, vectors=(run.path,), form="exact"),
        run=RunFolder(folder / "screen"),
        reporter=log,
    )
    return log.errors()


def _line(question: str, answer: str) -> str:
    return json.dumps({"question": question, "answer": answer}) + "\n"


if __name__ == "__main__":
    main()
