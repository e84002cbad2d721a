"""The choices of a quickstart: device and precision, traits, judge, sizes. Needs no torch and no model.

A choice is made from what can be counted or measured here; the reason names the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mindscope.errors import ModelError
from mindscope.jobs.demo import DemoSpec
from mindscope.jobs.doctor import GIB, ROOM, DoctorReport
from mindscope.jobs.quickstart.results import QuickstartChoice
from mindscope.jobs.resolve import is_test_bed

SMALL = 1_000_000_000
"""Below so many parameters a chat model mostly does not play a character that it was trained against: of the
traits tried on SmolLM2-135M-Instruct those of mood and manner could be called up (docs/real_model.md)."""
PLAYED_BY_LARGE = ("sycophantic", "evil", "optimistic")
"""Of the bundled traits, two of the persona paper's and one of mood. Its third, hallucinating, is a matter of
truth, which a judge without a second model cannot see."""


@dataclass(frozen=True)
class DemoSize:
    """How much of the demo is run.

    Attributes:
        name: what it is called in the reason.
        n_traits: how many of the chosen traits.
        quick: with the demo's small sizes.
    """

    name: str
    n_traits: int | None
    quick: bool


SIZES = (
    DemoSize("all traits in full", None, False),
    DemoSize("the first trait in full", 1, False),
    DemoSize("the first trait in small sizes: figures are rough", 1, True),
)


def choose_device(name: str, parameters: int, machine: DoctorReport, wanted: str) -> tuple[str, str, str]:
    """Device and precision, with the reason.

    Raises:
        ModelError: the weights fit nowhere.
    """
    half, full = 2 * parameters / GIB, 4 * parameters / GIB
    best = max(machine.gpus, key=lambda gpu: gpu.memory_gib, default=None)
    free = machine.memory.available_gib
    if best is not None and not wanted.startswith("cpu"):
        if half <= ROOM * best.memory_gib:
            return (
                "cuda",
                "auto",
                f"{half:.1f} GiB of weights fit into the {best.memory_gib:.0f} of {best.name}",
            )
        if wanted != "auto":
            raise _too_large(name, half, f"{best.memory_gib:.0f} GiB of {best.name}")
    if half > ROOM * free:
        raise _too_large(name, half, f"{free:.1f} GiB of free memory")
    no_gpu = "no GPU" if best is None else f"it is too large for {best.name}"
    if full <= ROOM * free:
        return "cpu", "auto", f"{no_gpu}; {machine.cpu.cores} cores and {free:.1f} GiB of free memory"
    return "cpu", "bfloat16", f"{no_gpu}; {full:.1f} GiB in float32 would not fit into {free:.1f}, half does"


def _too_large(name: str, gib: float, place: str) -> ModelError:
    return ModelError(
        f"{name} has {gib:.1f} GiB of weights in half precision, too many beside the rest in {place}: "
        "take a smaller model, free memory, or share it out with the commands' --device-map auto"
    )


def choose_traits(model: str, parameters: int, wanted: Sequence[str]) -> QuickstartChoice:
    """The traits, the first of which is monitored, screened for and trained."""
    if wanted:
        return QuickstartChoice(what="traits", chosen=", ".join(wanted), why="you named them")
    if is_test_bed(model):
        traits, why = DemoSpec().preset().traits, "characters of its world"
    elif parameters < SMALL:
        traits = DemoSpec(model=model).preset().traits
        why = (
            f"with {_shown(parameters)} parameters it may not play a character; mood and manner are likelier"
        )
    else:
        traits = PLAYED_BY_LARGE
        why = (
            f"with {_shown(parameters)} parameters it can play a character; what it does not play is refused"
        )
    return QuickstartChoice(what="traits", chosen=", ".join(traits), why=why)


def limit_traits(choice: QuickstartChoice, run: Sequence[str]) -> QuickstartChoice:
    """The choice of traits once it is known which of them the size has time for."""
    if len(run) == len(choice.chosen.split(", ")):
        return choice
    chosen = ", ".join(run)
    return choice.model_copy(
        update={
            "chosen": chosen,
            "why": f"the first of {choice.chosen}: {choice.why}; there is no time for more",
        }
    )


def choose_judge(model: str) -> QuickstartChoice:
    """Who scores. A key in the environment is not used: nobody said that answers may be sent there."""
    if is_test_bed(model):
        return QuickstartChoice(
            what="judge", chosen="exact", why="its world is code, which judges every answer"
        )
    why = "a classifier of the trait's own prompted answers: needs no key and no memory for a second model"
    return QuickstartChoice(what="judge", chosen="contrast", why=why)


def choose_size(seconds: Sequence[float], minutes: float) -> tuple[DemoSize, QuickstartChoice]:
    """The largest size that is through in time, or the smallest."""
    size = next((s for s, needed in zip(SIZES, seconds, strict=True) if needed <= 60 * minutes), SIZES[-1])
    needed = ", ".join(f"{value / 60:.0f} min" if value >= 60 else f"{value:.0f} s" for value in seconds)
    fits = seconds[SIZES.index(size)] <= 60 * minutes
    limit = (
        f"the largest within --minutes {minutes:g}"
        if fits
        else f"nothing is through within --minutes {minutes:g}"
    )
    why = f"{limit}; from the largest size to the smallest about {needed} on this machine"
    return size, QuickstartChoice(what="size", chosen=size.name, why=why)


def _shown(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} billion" if parameters >= SMALL else f"{parameters / 1e6:.0f} million"
