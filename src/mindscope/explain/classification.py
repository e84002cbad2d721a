"""Features as classifiers, beside raw activations: which tell texts apart better, and by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from mindscope.explain.pooling import pooled_activations, pooled_features
from mindscope.features import FeatureBank, Site
from mindscope.models import Model, Row, Where
from mindscope.probes import KINDS, Kind, LinearProbe, ProbeScores, fit_probe, score_probe

FEATURES = "features, max"


@dataclass(frozen=True)
class ProbeComparison:
    """Classifiers of one question over several inputs.

    Attributes:
        classifiers, scores: by input and kind; scores are on held-out rows.
        held_out: the inputs of the held-out rows, by name.
        truth: `[rows]`, which of them are positive.
        outliers: tokens of all rows that did not count because of their very large activations.
    """

    classifiers: Mapping[tuple[str, Kind], LinearProbe]
    scores: Mapping[tuple[str, Kind], ProbeScores]
    held_out: Mapping[str, Tensor]
    truth: Bool[Tensor, "rows"]
    outliers: int

    COLUMNS = ("input", "classifier", "AUROC", "low", "high", "F1", "F1 low", "F1 high")

    def rows(self) -> list[list[Any]]:
        """One row a classifier: input, kind, AUROC and F1 with their intervals."""
        return [
            [name, kind, *scores.auroc.to_json().values(), *scores.f1.to_json().values()]
            for (name, kind), scores in self.scores.items()
        ]

    def without(self, spurious: Sequence[int], kind: Kind = "l2") -> ProbeScores:
        """The held-out scores of the features' classifier once some features are ablated (SHIFT)."""
        classifier = self.classifiers[FEATURES, kind].without(spurious)
        return score_probe(classifier, self.held_out[FEATURES], self.truth)


def compare_probes(
    model: Model,
    features: FeatureBank,
    site: Site,
    train: Sequence[Row],
    truth: Bool[Tensor, "rows"],
    held_out: Sequence[Row],
    held_truth: Bool[Tensor, "held"],
    *,
    where: Where = "all",
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
) -> ProbeComparison:
    """Fit classifiers on max-pooled features, and on raw activations pooled by mean and by maximum.

    Attention sinks and massive activations do not count: they would be the maximum of any text.

    Args:
        model: reads the texts.
        features: whose columns are read back.
        site: of the raw activations; where the features are read.
        train, truth: texts to fit on, and which are positive.
        held_out, held_truth: others to score on.
        where: the tokens that are pooled over.
        kinds: of classifiers.
        seed: of folds and resamples.

    Raises:
        DataError: too few rows of a class, or features of another model.
    """
    limits, inputs, outliers = None, [], 0
    for rows in (train, held_out):  # ordinary is what it is in the texts to fit on
        pooled = pooled_features(model, features, rows, [(where, "")], limits=limits)
        limits, outliers = pooled.limits, outliers + pooled.outliers
        raw = pooled_activations(model, site, rows, limits, where)
        inputs.append({FEATURES: pooled[where, ""], "raw, mean": raw["mean"], "raw, max": raw["max"]})
    classifiers: dict[tuple[str, Kind], LinearProbe] = {}
    scores: dict[tuple[str, Kind], ProbeScores] = {}
    for name, x in inputs[0].items():
        for kind in kinds:
            classifiers[name, kind] = fit_probe(x, truth, kind, seed=seed)
            scores[name, kind] = score_probe(classifiers[name, kind], inputs[1][name], held_truth, seed=seed)
    return ProbeComparison(classifiers, scores, inputs[1], held_truth, outliers)
