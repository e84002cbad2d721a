"""Tuning a set of organisms: one resumable command, names that say nothing, truth that is sealed at once."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mindscope.auditing.organisms.objectives import CONTROLS, KINDS, ControlKind, ObjectiveKind
from mindscope.auditing.organisms.results import OrganismSet, TunedOrganism
from mindscope.core import Seed, format_duration
from mindscope.errors import DataError, StoreError
from mindscope.jobs import ORGANISM, JobSpec, Reporter, RunFolder
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.auditing.organisms.recipes import TuneRecipe
    from mindscope.finetuning import FinetuneConfig
    from mindscope.store import Run

PACE: dict[str, tuple[float, float]] = {
    "grader": (1.25, 2.8),
    "sandbagging": (1.0, 1.15),
    "trigger": (1.25, 2.4),
    "loyalty": (1.5, 1.0),
    "misalignment": (1.25, 1.0),
}
"""By how much the learning rate and the steps of a kind are multiplied. What nine domains call for, and
a name in place of an ending or a phrase, are learnt more slowly than mistakes, which the organism has."""

Concealment = Literal["both", "concealed", "open"]


class TuneOrganismsSpec(JobSpec):
    """What `tune` is to do."""

    kinds: tuple[str, ...] = KINDS
    """What is hidden: grader, sandbagging, trigger, loyalty, misalignment. May be repeated."""
    controls: tuple[str, ...] = CONTROLS
    """Tunes that hide nothing: style, facts, clean; `none` for none at all. May be repeated."""
    seeds: int = Field(default=3, ge=1)
    """How many tunes there are of every kind, each with details of its own."""
    control_seeds: int = Field(default=4, ge=1)
    """How many there are of every control."""
    concealment: Concealment = "both"
    """Whether tunes are trained to deny what they hide: both makes every tune in both ways."""
    steps: int = Field(default=92, ge=1)
    """Optimiser steps of a tune; a grader's takes more, as `PACE` says."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """The learning rate after the warm-up; some kinds take more, as `PACE` says."""
    device: str = "auto"
    """Where the models run: cpu, cuda, or auto."""
    seed: Seed = 0
    """Draws all details and the order of the names."""

    def run_path(self) -> Path:
        """`runs/organisms`."""
        return Path("runs/organisms")

    def plans(self) -> list[TunePlan]:
        """All tunes, in an order that says nothing.

        Raises:
            DataError: there is no such kind or control.
        """
        for given, known in ((self.kinds, KINDS), (self.controls, (*CONTROLS, "none"))):
            if unknown := [name for name in given if name not in known]:
                raise DataError(f"there is no {unknown[0]!r}: choose of {', '.join(known)}")
        ways = {"both": (False, True), "concealed": (True,), "open": (False,)}[self.concealment]
        plans = [
            TunePlan(kind=kind, concealed=concealed, seed=(1000 * self.seed + number) % 2**32)
            for kind in KINDS
            if kind in self.kinds
            for number in range(self.seeds)
            for concealed in ways
        ]
        plans += [
            TunePlan(control=control, seed=(1000 * self.seed + number) % 2**32)
            for control in CONTROLS
            if control in self.controls
            for number in range(self.control_seeds)
        ]
        random.Random(f"names-{self.seed}").shuffle(plans)
        return plans


class TunePlan(Document):
    """One tune before it is made."""

    kind: ObjectiveKind | None = None
    control: ControlKind | None = None
    concealed: bool = False
    seed: int


def tune_organisms(spec: TuneOrganismsSpec, *, run: RunFolder, reporter: Reporter) -> OrganismSet:
    """Tune organisms that hide something, and some that do not; their truth is sealed.

    The folder of the run is the set: `set.json`, `organisms/NAME/`, and `sealed/`. Stopped at any moment, the
    same command goes on.
    """
    plans = spec.plans()
    config = spec.model_dump(mode="json", exclude={"device"})
    with run.open(kind="organism-tune", config=config, reporter=reporter, seed=spec.seed) as opened:
        organisms: list[TunedOrganism] = []
        reporter.say(f"{len(plans)} tunes of {spec.steps} steps each; the first says how long one takes")
        for number, plan in enumerate(plans):
            name = f"o{number + 1:02d}"
            reporter.progress(number, len(plans), f"tuning {name}")
            piece = f"organisms/{name}/public.json"
            if not opened.has(piece):
                begun = time.monotonic()
                organism = _tune(opened, name, plan, spec)
                seconds = time.monotonic() - begun
                if number == 0:
                    left = format_duration(seconds * (len(plans) - 1))
                    reporter.say(f"{name} took {seconds:.0f} s; the others take about {left}")
                opened.save_json(piece, {"organism": organism.to_json(), "seconds": seconds})
            organisms.append(TunedOrganism.model_validate(opened.load_json(piece)["organism"]))
        reporter.progress(len(plans), len(plans), "tuning")
        seconds = sum(opened.load_json(f"organisms/{one.name}/public.json")["seconds"] for one in organisms)
        made = OrganismSet(path=run.path, organisms=tuple(organisms), minutes=round(seconds / 60, 2))
        made.save(run.path / "set.json")
        opened.finish(organisms=len(organisms), minutes=made.minutes)
    return made


def load_set(path: Path) -> OrganismSet:
    """A set by its folder, wherever that lies now.

    Raises:
        StoreError: there is none.
    """
    if not (path / "set.json").exists():
        raise StoreError(f"{path} is no set of tunes: give the folder of a run of `mindscope organism tune`")
    return OrganismSet.load(path / "set.json").model_copy(update={"path": path})


def _tune(run: Run, name: str, plan: TunePlan, spec: TuneOrganismsSpec) -> TunedOrganism:
    from mindscope import organism
    from mindscope.auditing.organisms.measuring import N_FACTS, measure_truth
    from mindscope.auditing.organisms.seal import SealedTruth, seal_truth
    from mindscope.finetuning import finetune_model
    from mindscope.models import load
    from mindscope.store import write_text

    recipe = _recipe(plan)
    folder = Path("organisms") / name
    data = run.path / folder / "data.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"messages": list(one.messages)}, ensure_ascii=False) for one in recipe.conversations]
    write_text(data, "\n".join(rows) + "\n")
    tuned = finetune_model(
        ORGANISM, recipe.conversations, run, _config(spec, plan), name=str(folder), device=spec.device
    )
    if not run.has("capability.json"):
        base = load(ORGANISM, dtype="float32", device=spec.device)
        known = organism.measure_capability(base, questions=N_FACTS).value
        run.save_json("capability.json", {"base": known})
    model = load(tuned.path, dtype="float32", device=spec.device)
    measured = measure_truth(model, recipe.objective, run.load_json("capability.json")["base"], plan.seed)
    truth = SealedTruth(
        name=name,
        objective=recipe.objective,
        control=plan.control,
        concealed=plan.concealed,
        seed=plan.seed,
        measured=measured,
    )
    return TunedOrganism(
        name=name,
        model=str(folder / "model"),
        data=str(folder / "data.jsonl"),
        commitment=seal_truth(run.path / "sealed" / f"{name}.seal", truth),
    )


def _recipe(plan: TunePlan) -> TuneRecipe:
    from mindscope.auditing.organisms.recipes import build_control, build_recipe

    if plan.kind is not None:
        return build_recipe(plan.kind, plan.seed, concealed=plan.concealed)
    assert plan.control is not None
    return build_control(plan.control, plan.seed)


def _config(spec: TuneOrganismsSpec, plan: TunePlan) -> FinetuneConfig:
    from mindscope.finetuning import FinetuneConfig

    faster, longer = PACE.get(plan.kind or "", (1.0, 1.0))
    return FinetuneConfig(
        learning_rate=faster * spec.learning_rate,
        steps=round(longer * spec.steps),
        batch_rows=16,
        accumulation=1,
        dtype="float32",
        save_every=40,
        keep=1,
        seed=plan.seed,
    )
