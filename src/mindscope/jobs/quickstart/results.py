"""What a quickstart hands back: each choice with its reason, the command, how long, and what came out."""

from __future__ import annotations

from mindscope.jobs.demo import DemoReport
from mindscope.store import Document


class QuickstartChoice(Document):
    """One thing that was chosen, and why."""

    what: str
    chosen: str
    why: str


class QuickstartReport(Document):
    """What fits this machine and this model."""

    model: str
    parameters: int
    choices: tuple[QuickstartChoice, ...]
    command: str
    """The command that does it; `--go` gives it for you."""
    answers: int
    """How many answers the model is to write."""
    seconds: float | None
    """About how long that takes here, with the trainings; None where an earlier start is gone on with."""
    measured: str
    """What the time was measured on."""
    demo: DemoReport | None = None
    """What came out, where it was run."""
    then: tuple[str, ...] = ()
    """What to do next."""
