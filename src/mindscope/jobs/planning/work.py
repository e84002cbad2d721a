"""The long jobs that have a plan, by the names of their commands.

Each is counted by a function that says what its job does and asks a `PaceSource` what one of it costs. The
defaults of the sizes are those of the jobs' own configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mindscope.errors import DataError
from mindscope.jobs.planning import answer_work, comparison_work, feature_work
from mindscope.jobs.planning.counter import JobWork, WorkCounter
from mindscope.jobs.planning.results import PlannedBytes

ALLOCATED = 1.1
"""What allocators take beyond what is asked of them: measured on a CPU as 1.05 to 1.15."""

_PAGES = ("sklearn.linear_model", "matplotlib.pyplot", "pyarrow")
LONG_JOBS: Mapping[str, tuple[tuple[str, ...], Callable[[WorkCounter], JobWork]]] = {
    "persona extract": (("mindscope.personas", *_PAGES), answer_work.count_extraction),
    "persona sweep": (("mindscope.personas", *_PAGES), answer_work.count_sweep),
    "persona steer": (("mindscope.personas", *_PAGES), answer_work.count_steering),
    "persona screen": (("mindscope.screening", *_PAGES), answer_work.count_screening),
    "persona shift": (("mindscope.personas", *_PAGES), answer_work.count_shift),
    "persona finetune": (("mindscope.finetuning", "peft", "trl", "pyarrow"), answer_work.count_finetuning),
    "dictionary train": (("mindscope.dictionaries",), feature_work.count_training),
    "dictionary record": (("mindscope.dictionaries",), feature_work.count_recording),
    "dictionary evaluate": (("mindscope.dictionaries", *_PAGES), feature_work.count_evaluation),
    "feature survey": (("mindscope.explain", *_PAGES), feature_work.count_survey),
    "diff": (("mindscope.diffing", *_PAGES), comparison_work.count_difference),
    "gate run": (("mindscope.gate.job", "mindscope.personas", *_PAGES), comparison_work.count_gate),
    "circuit trace": (("mindscope.circuits", *_PAGES), feature_work.count_graph),
}
"""By the name of its command: what the job imports, and what counts its work."""


def count_work(job: str, counter: WorkCounter) -> JobWork:
    """What a job is made of.

    Raises:
        DataError: there is no plan for such a job.
    """
    if job not in LONG_JOBS:
        raise DataError(f"there is no plan for '{job}': name one of {', '.join(LONG_JOBS)}")
    return LONG_JOBS[job][1](counter)


def as_bytes(parts: Mapping[str, float]) -> tuple[PlannedBytes, ...]:
    """Parts as a plan names them; what takes nothing is left out."""
    return tuple(
        PlannedBytes(name=name, bytes=round(count)) for name, count in parts.items() if round(count) > 0
    )
