"""Features put to use: telling texts apart, raising alarms, and standing for concepts."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mindscope.core import Index, Seed
from mindscope.errors import DataError
from mindscope.jobs.feature.inputs import DictionarySpec, label_text, open_survey, read_labels
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.monitor import AlarmSpec, MonitoringReport, watch_file
from mindscope.jobs.specs import BorrowingModelSpec, EngineSpec
from mindscope.probes import SingleFeature
from mindscope.store import BorrowingDocument, Document

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.explain import LabelledText
    from mindscope.models import Model, Row
    from mindscope.probes import Concept, ProbeScores

TOP = 10
"""Features that are listed: what a classifier mostly goes by."""
FEWEST = 12
"""Texts, with which half can be fitted on and half tested on."""


class ClassifySpec(BorrowingModelSpec, DictionarySpec):
    """What `classify` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary", "positive", "negative")
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"survey": ("--run",)}
    inputs: ClassVar[Mapping[str, InputKind]] = {"positive": "rows", "negative": "rows", "survey": "folder"}

    positive: Path
    """Texts or conversations of the class."""
    negative: Path
    """Texts or conversations that are not of the class."""
    survey: Path | None = None
    """A run of `feature survey`, for labels; without it features have none."""
    where: Literal["all", "prompt", "answer"] = "all"
    """The tokens that are pooled over."""
    ablate: tuple[Index, ...] = ()
    """Spurious features to leave out, such as 3,17."""
    seed: Seed = 0
    """The seed of the split, the folds and the resamples."""


class ScoreRange(Document):
    """A score with its 95 % interval."""

    value: float
    low: float
    high: float


class ClassifierScores(Document):
    """How well a classifier tells held-out texts apart."""

    auroc: ScoreRange
    f1: ScoreRange
    rows: int
    positive: int


class WeighedFeature(Document):
    """A feature that a classifier goes by."""

    feature: int
    weight: float
    label: str | None


class ClassificationReport(BorrowingDocument):
    """How well texts are told apart by features and by raw activations.

    Attributes:
        scores: by INPUT/CLASSIFIER.
        fitted, held_out: how many texts were fitted on, and how many scored on.
        outliers: tokens that did not count because of their very large activations.
        top: the features that the l2 classifier goes by most.
        ablated: its scores without the features that were to be left out.
    """

    scores: dict[str, ClassifierScores]
    fitted: int
    held_out: int
    outliers: int
    top: tuple[WeighedFeature, ...]
    ablated: ClassifierScores | None = None


class AlarmFeaturesSpec(EngineSpec, BorrowingModelSpec, AlarmSpec, DictionarySpec):
    """What `alarm` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary", "data")

    latents: tuple[Index, ...]
    """The numbers of the features to watch, such as 3,17."""

    @model_validator(mode="after")
    def _require_thresholds(self) -> Self:
        if self.calibrate is None and self.thresholds is None:
            raise DataError(
                "an alarm needs a threshold: give --calibrate ORDINARY.jsonl, or --thresholds FILE"
            )
        return self

    def run_path(self) -> Path:
        """`runs/feature-alarm`."""
        return Path("runs/feature-alarm")


class FindConceptsSpec(BorrowingModelSpec, DictionarySpec):
    """What `concepts` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "dictionary")

    model: str
    """An organism, or a model tuned from it."""
    phrasings: Literal["train", "test"] = "train"
    """How the tested texts are put: as in training, or as training never showed (test)."""
    scale: float = Field(default=1.0, ge=0.01)
    """How many texts are read: 1 is some four thousand texts in each half."""
    page: Path = Path("concepts.html")
    """The page to write."""
    seed: Seed = 0
    """The seed of the texts."""


class ConceptsReport(BorrowingDocument):
    """How many concepts of the world a single feature stands for.

    Attributes:
        found: concepts with an F1 of 0.9 or more; `of` is how many there are.
        rows: texts to choose on and to test on.
        groups: by the group of concepts, how many were found of how many.
        skipped: concepts of which a half has no example.
    """

    found: int
    of: int
    rows: tuple[int, int]
    groups: dict[str, tuple[int, int]]
    concepts: dict[str, SingleFeature]
    skipped: tuple[str, ...]
    page: str


def classify(spec: ClassifySpec, *, reporter: Reporter) -> ClassificationReport:
    """Tell two kinds of texts apart by features and by raw activations, and say by which features."""
    from mindscope.explain import FEATURES, compare_probes

    del reporter  # a minute at most
    model = spec.load()
    bank = spec.load_bank(model)
    rows, truth = _read_classes(model, spec)
    half = len(rows) // 2
    comparison = compare_probes(
        model,
        bank,
        bank.reads[0],
        rows[:half],
        truth[:half],
        rows[half:],
        truth[half:],
        where=spec.where,
        seed=spec.seed,
    )
    labels = read_labels(spec.survey) if spec.survey else {}
    survey = open_survey(spec.survey, bank) if spec.survey else None
    return ClassificationReport(
        scores={f"{name}/{kind}": _describe(scores) for (name, kind), scores in comparison.scores.items()},
        fitted=half,
        held_out=len(rows) - half,
        outliers=comparison.outliers,
        borrowed=model.borrowed,
        top=tuple(
            WeighedFeature(
                feature=weight.column,
                weight=weight.weight,
                label=None if survey is None else label_text(survey, labels, weight.column),
            )
            for weight in comparison.classifiers[FEATURES, "l2"].top(TOP)
        ),
        ablated=_describe(comparison.without(spec.ablate)) if spec.ablate else None,
    )


def alarm(spec: AlarmFeaturesSpec, *, run: RunFolder, reporter: Reporter) -> MonitoringReport:
    """Watch conversations for features, as `persona monitor` does for persona vectors."""
    from mindscope.features import FeatureSet

    watched = spec.open_conversations(reporter)
    model = spec.load_engine()
    bank = spec.load_bank(model)
    features = FeatureSet([bank.feature(latent) for latent in spec.latents])
    return watch_file(spec, watched, model, features, run=run, reporter=reporter)


def find_concepts(spec: FindConceptsSpec, *, reporter: Reporter) -> ConceptsReport:
    """Find the single feature that stands for each concept of the organism's world, and how well it does."""
    from mindscope.explain import concept_table

    model = spec.load()
    bank = spec.load_bank(model)
    halves = split_concept_texts(model, phrasings=spec.phrasings, scale=spec.scale, seed=spec.seed)
    table = concept_table(model, bank, list_concepts(model), *halves, progress=reporter.progress)
    page = table.report().write(spec.page)
    where = {"page": str(page), "borrowed": model.borrowed}
    return ConceptsReport.model_validate(table.summary().to_json() | where)


def list_concepts(model: Model) -> tuple[Concept, ...]:
    """The concepts of the world that an organism is of."""
    from mindscope import organism

    return organism.second_concepts() if organism.is_second(model) else organism.world_concepts()


def split_concept_texts(
    model: Model, *, phrasings: str = "train", scale: float = 1.0, seed: int = 0
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Texts of an organism's world to choose features on, and others to test them on, put as it is said."""
    from mindscope import organism
    from mindscope.explain import LabelledText

    texts_of = organism.second_concept_texts if organism.is_second(model) else organism.concept_texts

    def read_half(name: str, put: str) -> list[LabelledText]:
        return [
            LabelledText(model.chat(list(text.messages), text.answer), text.concepts)
            for text in texts_of(name, phrasings=put, scale=scale, seed=seed)
        ]

    return read_half("train", "train"), read_half("test", phrasings)


def _read_classes(model: Model, spec: ClassifySpec) -> tuple[list[Row], Tensor]:
    """Texts of both files in an order drawn at random, and which are of the class."""
    import torch

    from mindscope.dictionaries import read_corpus

    texts = [
        (row, positive)
        for path, positive in ((spec.positive, True), (spec.negative, False))
        for row in read_corpus(model, path)(0)
    ]
    if len(texts) < FEWEST:
        raise DataError(f"{len(texts)} texts are too few to fit and to test on: give at least 6 of each kind")
    random.Random(spec.seed).shuffle(texts)
    return [row for row, _ in texts], torch.tensor([positive for _, positive in texts])


def _describe(scores: ProbeScores) -> ClassifierScores:
    return ClassifierScores.model_validate(scores.to_json())
