"""Which single feature stands for each concept, and how well."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.explain.pooling import Pool, pooled_features
from mindscope.features import FeatureBank
from mindscope.models import Model, Row
from mindscope.probes import Concept, SingleFeature, best_single_features
from mindscope.reports import Report
from mindscope.store import Document

FOUND = 0.9
"""The held-out F1 from which on a feature is said to stand for a concept."""


@dataclass(frozen=True)
class LabelledText:
    """A text, and the names of the concepts it shows."""

    row: Row
    concepts: Collection[str]


class ConceptSummary(Document):
    """How many concepts stand on a single feature.

    Attributes:
        found: concepts whose best feature has an F1 of at least `FOUND` on held-out texts.
        of: concepts that were looked for in both halves.
        rows: how many texts there were to choose on and to test on.
        groups: for each group of concepts how many were found, and of how many.
        concepts: the best single feature by the concept's name.
        skipped: concepts of which a half has no example.
    """

    found: int
    of: int
    rows: tuple[int, int]
    groups: dict[str, tuple[int, int]]
    concepts: dict[str, SingleFeature]
    skipped: tuple[str, ...]


class ConceptTable(Document):
    """The best single feature of every concept.

    Attributes:
        concepts: what was looked for.
        best: by the concept's name.
        skipped: concepts of which a half has no example.
        rows: how many texts there were to choose on and to test on.
    """

    concepts: tuple[Concept, ...]
    best: dict[str, SingleFeature]
    skipped: tuple[str, ...]
    rows: tuple[int, int]

    def found(self, least: float = FOUND) -> list[str]:
        """The concepts that a single feature stands for, with at least this F1 on held-out texts."""
        return [name for name, single in self.best.items() if single.f1 >= least]

    def by_group(self, least: float = FOUND) -> dict[str, tuple[int, int]]:
        """For each group of concepts: how many were found, of how many."""
        counts: dict[str, tuple[int, int]] = {}
        for concept in self.concepts:
            if concept.name in self.best:
                right, total = counts.get(concept.group, (0, 0))
                counts[concept.group] = (right + (self.best[concept.name].f1 >= least), total + 1)
        return counts

    def rows_of_table(self, labels: Mapping[int, str] | None = None) -> list[list[Any]]:
        """One row a concept, the best first: concept, feature, label, F1, precision, recall, positives."""
        ranked = sorted(self.best.items(), key=lambda item: (-item[1].f1, item[0]))
        return [
            [
                name,
                single.feature,
                (labels or {}).get(single.feature),
                single.f1,
                single.precision,
                single.recall,
                single.positive,
            ]
            for name, single in ranked
        ]

    COLUMNS: ClassVar = ("concept", "feature", "label", "F1", "precision", "recall", "texts")

    def report(self, labels: Mapping[int, str] | None = None) -> Report:
        """The table as a page."""
        report = Report(
            "Concepts",
            f"{len(self.found())} of {len(self.best)} stand on a single feature with F1 of {FOUND} or more",
        )
        report.text(
            "For each concept the feature with the highest F1 on one half of the texts, its threshold chosen "
            "there, and its F1 on the other half. A text counts by the feature's highest activation over the "
            "tokens where the concept is read."
        )
        groups = [[group, right, every] for group, (right, every) in self.by_group().items()]
        report.table(["group", "found", "of"], groups)
        return report.section("All concepts").table(self.COLUMNS, self.rows_of_table(labels))

    def summary(self) -> ConceptSummary:
        """Counts of what was found, and every concept's best feature."""
        return ConceptSummary(
            found=len(self.found()),
            of=len(self.best),
            rows=self.rows,
            groups=self.by_group(),
            concepts=self.best,
            skipped=self.skipped,
        )


def with_label(progress: Progress | None, label: str) -> Callable[[int, int], object] | None:
    """A progress that says what is being done."""
    return None if progress is None else lambda done, total: progress(done, total, label)


def concept_table(
    model: Model,
    features: FeatureBank,
    concepts: Sequence[Concept],
    train: Sequence[LabelledText],
    test: Sequence[LabelledText],
    *,
    progress: Progress | None = None,
) -> ConceptTable:
    """Find the best single feature of every concept on some texts, and test it on others.

    All other texts are a concept's negatives, so that one of fifty states has two texts in a hundred.

    Raises:
        DataError: features of another model, or a row in both halves.
    """
    _require_apart(train, test)
    rows = [[text.row for text in part] for part in (train, test)]
    pools = list_pools(concepts)
    halves = [
        pooled_features(model, features, part, pools, progress=with_label(progress, name))
        for part, name in zip(rows, ("choosing", "testing"), strict=True)
    ]
    return table_of_pools(concepts, train, test, *(half.tables for half in halves))


def list_pools(concepts: Sequence[Concept]) -> list[Pool]:
    """Over which tokens something must be pooled for these concepts."""
    return list(dict.fromkeys((concept.where, concept.at) for concept in concepts))


def table_of_pools(
    concepts: Sequence[Concept],
    train: Sequence[LabelledText],
    test: Sequence[LabelledText],
    chosen_on: Mapping[Pool, Float[Tensor, "train features"]],
    tested_on: Mapping[Pool, Float[Tensor, "test features"]],
) -> ConceptTable:
    """The same of anything that was pooled over both halves: features, tokens, neurons.

    Raises:
        DataError: a row in both halves.
    """
    _require_apart(train, test)
    best: dict[str, SingleFeature] = {}
    skipped: list[str] = []
    for pool in list_pools(concepts):
        asked = [concept.name for concept in concepts if (concept.where, concept.at) == pool]
        shown = [
            torch.tensor([[name in text.concepts for name in asked] for text in part])
            for part in (train, test)
        ]
        known = shown[0].any(0) & shown[1].any(0)
        skipped += [name for name, there in zip(asked, known.tolist(), strict=True) if not there]
        singles = best_single_features(
            chosen_on[pool], shown[0][:, known], tested_on[pool], shown[1][:, known]
        )
        names = [name for name, there in zip(asked, known.tolist(), strict=True) if there]
        best |= dict(zip(names, singles, strict=True))
    return ConceptTable(
        concepts=tuple(concepts), best=best, skipped=tuple(skipped), rows=(len(train), len(test))
    )


def _require_apart(train: Sequence[LabelledText], test: Sequence[LabelledText]) -> None:
    if {text.row.ids for text in train} & {text.row.ids for text in test}:
        raise DataError("a text is in both halves: it would be tested on what it was chosen by")
