"""Labelling: what features are called, and how well each name holds on contexts it was not made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import RootModel

from mindscope.core import Index, Seed
from mindscope.jobs.feature.inputs import (
    LABELS,
    FeatureSpec,
    LabelRow,
    describe_label,
    logit_effects,
    open_survey,
)
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.resolve import find_writer
from mindscope.jobs.specs import EndpointSpec
from mindscope.store import hold_run


class LabelSpec(FeatureSpec, EndpointSpec):
    """What `label` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"numbers": ("--features",)}

    numbers: tuple[Index, ...] | None = None
    """The features' numbers, such as 3,17; all that are ever active by default."""
    writer: str | None = None
    """Who writes the labels, model:NAME or endpoint:NAME; by default they come from the contexts, without a
    language model."""
    seed: Seed = 0
    """The seed of the contexts that a label is tested on."""


class LabelsReport(RootModel[tuple[LabelRow, ...]]):
    """The labels, in the order of the features."""


def label(spec: LabelSpec, *, run: RunFolder, reporter: Reporter) -> LabelsReport:
    """Name features, and test each name on contexts it was not made from."""
    from mindscope.explain import FeatureLabel, keyless_label, written_label

    models = spec.load_models()
    bank = spec.load_bank(*models)
    survey = open_survey(run.path, bank)
    alive = (~survey.statistics.dead).nonzero()[:, 0].tolist()
    features = alive if spec.numbers is None else list(spec.numbers)
    writer = find_writer(spec.writer, spec) if spec.writer else None
    source = writer.name if writer else "contexts"
    with hold_run(run.path):  # who opens the run removes what is unfinished there
        rows = []
        for done, feature in enumerate(features, 1):
            file = run.path / LABELS / f"{feature:06}.json"
            named = FeatureLabel.load(file) if file.exists() else None
            if named is None or named.source != source:
                logits = logit_effects(models, bank, feature)
                named = (
                    written_label(survey, feature, writer, logits=logits, seed=spec.seed)
                    if writer
                    else keyless_label(survey, feature, logits)
                )
                named.save(file)
            rows.append(describe_label(named))
            reporter.progress(done, len(features), "labels")
    return LabelsReport(tuple(rows))
