"""The dictionaries that are shipped for the organism, as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM, SECOND_ORGANISM, JobSpec, Reporter, RunFolder, load_model
from mindscope.organism import WorldName
from mindscope.store import Document
from mindscope.studies.organism_dictionaries.recipe import Part, order_parts
from mindscope.studies.organism_dictionaries.results import ModalityRates, SwitchEffect


class ShippedDictionariesSpec(JobSpec):
    """What `dictionaries` is to do."""

    world: WorldName = "first"
    """Whose organism: first, of the world it has in the demo; second, whose world forces the mechanisms."""
    parts: tuple[Part, ...] = ()
    """What is trained: sae, transcoder or clt, and of the second organism crosscoder; all by default."""
    steps: int | None = Field(default=None, ge=1)
    """Batches to train on; the recipe's number by default, fewer make first, weaker dictionaries."""
    begin_bundled: bool = False
    """Begin with the dictionaries that come with the package in place of random weights, where the organism
    was trained further: they need fewer steps."""
    bundled: bool = False
    """Train nothing: measure the dictionaries that come with the package."""
    measure: bool = True
    """Evaluate the dictionaries, and look for the world's concepts."""
    effects: bool = True
    """Ablate and add the latents that stand for concepts of the first organism, which takes longest."""
    rows: int = Field(default=400, ge=1)
    """How many texts to evaluate on."""
    scale: float = Field(default=1.0, ge=0.01)
    """How many texts with concepts are read: 1 is some 4,000 in each half."""
    install: bool = False
    """Put the dictionaries in place of the bundled ones."""
    device: str = "auto"
    """Where the model runs: cpu, cuda, or auto."""
    seed: Seed = 0
    """The seed of the weights and of the order of the tokens."""

    @model_validator(mode="after")
    def _require_something_to_do(self) -> ShippedDictionariesSpec:
        trains = self.install or self.begin_bundled or self.steps is not None
        if self.bundled and (trains or not self.measure):
            raise DataError(
                "bundled dictionaries are only measured: leave out install, steps, begin-bundled and "
                "no-measure, or bundled"
            )
        order_parts(self.parts, self.world)
        return self

    def run_path(self) -> Path:
        """`runs/organism-dictionaries`, or `runs/second-dictionaries`."""
        return Path(f"runs/{'organism' if self.world == 'first' else 'second'}-dictionaries")


class ShippedDictionariesReport(Document):
    """The dictionaries, and what was measured of them; None where nothing was.

    Attributes:
        dictionaries: the file or folder of each, by its name.
        installed: the folder of the package that holds them, if they were put there.
        evaluations: a row for each dictionary.
        concepts: concept, its best latent, F1, the F1 of every baseline, precision, recall, texts.
        found: how many concepts a single latent stands for, better than any baseline.
        groups: group of concepts, how many, how many were found, how many have a latent with a high F1, and
            how many a single token, a single neuron or a random dictionary reaches so.
        effects: what the latents do, and `summary` that by the group of concepts.
        modalities: of the second organism, how many things have one latent for their picture and their words.
    """

    dictionaries: dict[str, str]
    shipped: str
    installed: str | None = None
    evaluations: tuple[dict[str, Any], ...] | None = None
    concepts: tuple[tuple[Any, ...], ...] | None = None
    found: int | None = None
    groups: tuple[tuple[Any, ...], ...] | None = None
    effects: tuple[SwitchEffect, ...] | None = None
    summary: tuple[tuple[Any, ...], ...] | None = None
    modalities: tuple[ModalityRates, ...] = ()
    report: str | None = None


def build_shipped(
    spec: ShippedDictionariesSpec, *, run: RunFolder, reporter: Reporter
) -> ShippedDictionariesReport:
    """Train the organism's dictionaries, say how good they are, what their latents stand for and do."""
    from mindscope.studies.organism_dictionaries.build import (
        SHIPPED,
        build,
        find_begun,
        find_bundled,
        install,
        load,
    )
    from mindscope.studies.organism_dictionaries.measure import measure
    from mindscope.studies.organism_dictionaries.report import (
        concept_rows,
        dictionaries_report,
        group_rows,
        summary,
    )

    parts = order_parts(spec.parts, spec.world)
    name = ORGANISM if spec.world == "first" else SECOND_ORGANISM
    model = load_model(name, dtype="float32", device=spec.device)
    settings = {
        "parts": parts,
        "world": spec.world,
        "bundled": spec.bundled,
        "effects": spec.effects,
        "steps": spec.steps,
        "rows": spec.rows,
        "scale": spec.scale,
        "measure": spec.measure,
    }
    begun = find_begun(parts, spec.world) if spec.begin_bundled else {}
    if begun:
        settings["begin_with"] = {name: dictionary.digest() for name, dictionary in begun.items()}
    result: dict[str, Any] = {"shipped": str(run.path / SHIPPED)}
    with run.open(
        kind="organism-dictionaries",
        config=settings,
        reporter=reporter,
        model=model,
        seed=spec.seed,
    ) as opened:
        if spec.bundled:
            files = find_bundled(parts, spec.world)
        else:
            files = build(
                model,
                opened,
                parts,
                world=spec.world,
                steps=spec.steps,
                seed=spec.seed,
                begin_with=begun,
                progress=reporter.progress,
            )
        result["dictionaries"] = {name: str(path) for name, path in files.items()}
        if spec.measure:
            measured = measure(
                model,
                load(model, files),
                opened,
                rows=spec.rows,
                scale=spec.scale,
                switching=spec.effects,
                progress=reporter.progress,
            )
            page = dictionaries_report(model, measured).write(run.path / "report.html")
            result |= {
                "evaluations": tuple(evaluation.row() for evaluation in measured.evaluations),
                "concepts": concept_rows(measured),
                "found": len(measured.found()),
                "groups": group_rows(measured) if measured.tables else (),
                "effects": measured.effects,
                "summary": summary(measured.effects) if measured.effects else (),
                "modalities": tuple(measured.modalities),
                "report": str(page),
            }
        if spec.install:
            result["installed"] = str(install(files, spec.world))
        opened.finish(dictionaries=result["dictionaries"])
    return ShippedDictionariesReport.model_validate(result)
