"""Planning a job: how long it will take, how much memory and disk, and what that costs, before it begins.

One function counts the work for `mindscope plan` and for the jobs themselves, which say it as they open. Only
what a unit of it costs is from elsewhere: a job measures its own model, a plan a stand-in of the same
configuration with random weights, or the rates of a named card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from mindscope.core import Clock
from mindscope.errors import DataError
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.planning.card_paces import CardPaces
from mindscope.jobs.planning.counter import JobWork, WorkCounter
from mindscope.jobs.planning.machines import (
    RESERVED,
    MachineRates,
    measure_machine,
    parse_cards,
)
from mindscope.jobs.planning.measured_paces import MeasuredPaces
from mindscope.jobs.planning.results import JobPlan, PlannedPhase
from mindscope.jobs.planning.sizes import PlanSizes
from mindscope.jobs.planning.starting import StartCosts, measure_start
from mindscope.jobs.planning.work import ALLOCATED, LONG_JOBS, as_bytes, count_work

if TYPE_CHECKING:
    from mindscope.dictionaries import Dictionary
    from mindscope.models import Model, ModelShape, Row

ONE_PROCESS = ("circuit trace", "persona finetune")
"""Jobs that hold the whole model in one process; several fine-tuning processes are planned one by one."""
OPENING = ("dictionary train", "dictionary record", "dictionary evaluate", "feature survey")
"""Jobs that open with a plan of their own, for which they time their model again."""
COPY_SHARE = 0.6
"""The share of a card's memory that a model's weights may take beside caches and activations."""
STAND_IN_SHARE = 0.25
"""The share of the free memory that a stand-in's weights may take; larger models are planned by rates."""


class PlanSpec(JobSpec, PlanSizes):
    """What `plan` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("job",)
    options: ClassVar = {"n_latents": ("--latents",), "n_layers": ("--layers",)}

    job: str
    """The job, as it is called on the command line, such as 'persona extract'."""
    model: str
    """A Hugging Face name or folder, its config.json alone, a GGUF file, or `organism`, the bundled model."""
    gpus: str | None = None
    """Cards to plan for, such as 8xH100; without it this machine."""
    price: float | None = Field(default=None, gt=0)
    """What one card, or this machine, costs an hour, in any currency."""
    dtype: str = "auto"
    """The precision of the model: float32, bfloat16, or auto."""
    again: bool = False
    """Measure this machine once more, instead of taking what was measured here before."""

    @field_validator("job")
    @classmethod
    def _require_known(cls, job: str) -> str:
        job = " ".join(job.split()).removeprefix("mindscope ")
        if f"{job} run" in LONG_JOBS:  # a command whose verb may be left out
            return f"{job} run"
        if job not in LONG_JOBS:
            raise DataError(f"there is no plan for '{job}': name one of {', '.join(LONG_JOBS)}")
        return job

    @field_validator("dtype")
    @classmethod
    def _require_precision(cls, dtype: str) -> str:
        if dtype not in ("auto", "float32", "bfloat16"):
            raise ValueError("use float32, bfloat16 or auto")
        return dtype


def plan(spec: PlanSpec, *, reporter: Reporter, clock: Clock = time.perf_counter) -> JobPlan:
    """Say how long a job will take, how much memory and disk, and what it costs, without its weights.

    On this machine a model of the same configuration with random weights is timed, where it fits; on named
    cards, and for larger models, operations are counted and divided by rates.
    """
    from mindscope.models import read_shape

    sizes = PlanSizes(**{name: getattr(spec, name) for name in PlanSizes.model_fields})
    shape = read_shape(spec.model)
    if spec.gpus is not None:
        card = parse_cards(spec.gpus)
        dtype = "bfloat16" if spec.dtype == "auto" else spec.dtype
        each = 4.0 if dtype == "float32" else 2.0
        copies, cards = _spread(spec.job, each * shape.parameters, card)
        pace = CardPaces(shape, card, dtype, copies)
        counter = WorkCounter(shape, sizes, pace, copies if spec.job == "dictionary train" else 1)
        planned = _finish(spec.job, counter, card, None, each / cards, spec.price)
        return planned.model_copy(update={"notes": (*planned.notes, _describe_spread(copies, cards, card))})
    machine = measure_machine(again=spec.again)
    import torch

    start = measure_start(spec.job, LONG_JOBS[spec.job][0], torch.get_num_threads(), again=spec.again)
    dtype = _choose_dtype(spec, shape)
    each = 4.0 if dtype == "float32" else 2.0
    if each * shape.parameters > STAND_IN_SHARE * machine.memory_bytes:
        reporter.say("too large to time here: planned by the rates of this machine")
        counter = WorkCounter(shape, sizes, CardPaces(shape, machine, dtype), row_seconds=start.row_seconds)
        return _finish(spec.job, counter, machine, start, each, spec.price)
    reporter.say("timing a stand-in of this configuration")
    pace = MeasuredPaces(_build(spec.model, dtype), machine, clock)
    counter = WorkCounter(shape, sizes, pace, row_seconds=start.row_seconds)
    return _finish(spec.job, counter, machine, start, each, spec.price)


def plan_loaded(job: str, model: Model, sizes: PlanSizes, *, clock: Clock = time.perf_counter) -> JobPlan:
    """What a job opens with: the same counts, with what a loaded model was just measured to cost."""
    from mindscope.models import shape_of

    machine = measure_machine()
    pace = MeasuredPaces(model, machine, clock)
    counter = WorkCounter(shape_of(model), sizes, pace)
    return _finish(job, counter, machine, _resident(model), float(model.dtype.itemsize), None)


def announce_plan(reporter: Reporter, job: str, model: Model, sizes: PlanSizes) -> JobPlan:
    """Say what a job will take, as it opens."""
    planned = plan_loaded(job, model, sizes)
    reporter.say(f"this will be {planned}")
    return planned


def mean_length(rows: Sequence[Row]) -> int:
    """Tokens of a row, on the average; 2 where there are none."""
    return max(2, round(sum(map(len, rows)) / max(1, len(rows))))


def dictionary_sizes(dictionary: Dictionary) -> dict[str, Any]:
    """Sizes of a plan that a dictionary decides; one without a k is taken to have as many as usual."""
    n_coders = len(dictionary.wiring)
    latents = max(2, dictionary.n_latents // n_coders)
    k = dictionary.k or PlanSizes().k
    return {"n_layers": n_coders, "n_latents": latents, "k": max(1, min(k, latents))}


def _finish(
    job: str,
    counter: WorkCounter,
    machine: MachineRates,
    start: StartCosts | int | None,
    weight_bytes: float,
    price: float | None,
) -> JobPlan:
    """The plan of a counted job.

    Args:
        start: what a start takes here; the bytes of a process that has started; None on cards.
    """
    work = count_work(job, counter)
    base = start.bytes if isinstance(start, StartCosts) else start
    memory = {"process" if machine.is_measured else "driver and libraries": float(base or RESERVED)}
    weights = work.n_models * (work.weight_bytes or weight_bytes) * counter.shape.parameters
    memory["weights" if work.n_models == 1 else f"weights of {work.n_models} models"] = weights
    memory["activations"] = float(counter.pace.grown())
    own = {**work.memory, **work.host} if machine.is_measured else work.memory
    if machine.is_measured:
        memory["compiled products"] = counter.compiled_bytes
    parts = {name: count * ALLOCATED for name, count in own.items()}
    planned = JobPlan(
        job=job,
        model=counter.shape.name,
        parameters=counter.shape.parameters,
        machine=machine.name if machine.count == 1 else f"{machine.count} x {machine.name}",
        phases=(*_opening_phases(job, counter, start, weights), *work.phases),
        memory=as_bytes({**memory, **parts}),
        host=() if machine.is_measured else as_bytes(work.host),
        disk=as_bytes(work.disk),
        room_bytes=machine.memory_bytes,
        is_most=work.is_most,
        source=machine.source if isinstance(counter.pace, CardPaces) else "a few passes measured here",
        notes=_notes(work, counter),
    )
    if price is None:
        return planned
    return planned.model_copy(update={"cost": price * machine.count * planned.seconds / 3600})


def _opening_phases(
    job: str, counter: WorkCounter, start: StartCosts | int | None, weights: float
) -> tuple[PlannedPhase, ...]:
    """What comes before the work, of a job that has not started yet."""
    if isinstance(start, int):
        return ()
    phases = [counter.load("the model", weights)]
    if start is not None:
        phases.insert(0, PlannedPhase(name="start", work="process and libraries", seconds=start.seconds))
    if job in OPENING:
        phases.append(PlannedPhase(name="a first look", work="a few passes", seconds=counter.pace.spent()))
    return tuple(phases)


def _spread(job: str, weights: float, card: MachineRates) -> tuple[int, int]:
    """Copies of the model, and over how many cards the layers of each lie, one card working at a time."""
    cards = max(1, math.ceil(weights / (COPY_SHARE * card.memory_bytes)))
    if job in ONE_PROCESS:
        return 1, 1  # it needs the whole model on one card
    return max(1, card.count // cards), min(cards, card.count)


def _describe_spread(copies: int, cards: int, card: MachineRates) -> str:
    if card.count == 1:
        return "one card, one process"
    if copies == 1 and cards == 1:
        return "one process on one of the cards: this job is not shared out"
    layers = "" if cards == 1 else f", the layers of each over {cards} cards that take turns"
    return f"{copies} {'copy' if copies == 1 else 'copies'} of the model side by side{layers}"


def _notes(work: JobWork, counter: WorkCounter) -> tuple[str, ...]:
    notes = list(work.notes)
    if work.is_most:
        notes.append("answers are counted as long as they may be: give --answer-tokens for less")
    return tuple(notes)


def _choose_dtype(spec: PlanSpec, shape: ModelShape) -> str:
    """What `load` would choose on this machine's CPU."""
    from mindscope.models import best_cpu_dtype

    if spec.job in ("circuit trace", "persona finetune"):  # they compute in float32 on a CPU
        return "float32"
    return best_cpu_dtype(shape.d_model) if spec.dtype == "auto" else spec.dtype


def _build(name: str, dtype: str) -> Model:
    import torch

    from mindscope.models import Model, build_stand_in

    hf, tokenizer = build_stand_in(name, getattr(torch, dtype))
    return Model.wrap(hf, tokenizer, name=f"stand-in of {name}")


def _resident(model: Model) -> int:
    """Bytes of this process without the model's weights, which a plan counts itself."""
    import psutil

    weights = sum(weight.nbytes for weight in model.hf.parameters() if weight.device.type == "cpu")
    return max(0, psutil.Process().memory_info().rss - weights)
