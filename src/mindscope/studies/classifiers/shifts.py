"""Classifiers fitted on plain requests and read on texts of six kinds; a cue, planted and taken out."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.probes import LinearProbe, fit_probe
from mindscope.stats import area_under_curve
from mindscope.store import derived_seed
from mindscope.studies.classifiers.config import ClassifiersConfig
from mindscope.studies.classifiers.reading import INPUTS, ReadTexts, TextReader
from mindscope.studies.classifiers.results import PlantedCue, ShiftScores
from mindscope.studies.classifiers.texts import SETS, TextDraw
from mindscope.studies.common import PieceProgress

FEATURES, RAW = "features, max", "raw, mean"
"""The inputs of the planted cue: features as the paper pools them, raw activations as probes have them."""
ABOUT = 0.9
"""A feature is about the cue where it tells harmless questions with it from those without at this AUROC."""


@dataclass(frozen=True, eq=False)
class ColumnProbe:
    """A classifier over the columns that any training text uses."""

    probe: LinearProbe
    columns: Int[Tensor, "columns"]

    @classmethod
    def fit(cls, x: Float[Tensor, "rows all"], truth: Bool[Tensor, "rows"], seed: int) -> "ColumnProbe":
        """Logistic regression with an L2 penalty that cross-validation chose."""
        columns = (x != 0).any(0).nonzero()[:, 0]
        return cls(fit_probe(x[:, columns], truth, "l2", seed=seed), columns)

    def auroc(self, x: Float[Tensor, "rows all"], truth: Bool[Tensor, "rows"]) -> float:
        """How well it tells rows apart."""
        return area(self.margins(x), truth)

    def margins(self, x: Float[Tensor, "rows all"]) -> Float[Tensor, "rows"]:
        """Its logits: probabilities near 0 and 1 would tie."""
        x = x[:, self.columns].float() / self.probe.scale
        x[:, list(self.probe.ablated)] = 0
        return x @ self.probe.weights + self.probe.bias

    def top(self, count: int) -> list[int]:
        """The columns of the whole table with the largest weights, the largest first."""
        return [int(self.columns[weight.column]) for weight in self.probe.top(count)]

    def without(self, columns: list[int]) -> "ColumnProbe":
        """The same with columns of the whole table ablated."""
        place = {int(column): index for index, column in enumerate(self.columns)}
        return ColumnProbe(self.probe.without([place[column] for column in columns]), self.columns)


def area(values: Float[Tensor, "rows"], truth: Bool[Tensor, "rows"]) -> float:
    """AUROC of one value a row."""
    column = values.double().numpy()[:, None]
    return float(area_under_curve(column[truth.numpy()], column[~truth.numpy()])[0])


def measure_shifts(
    reader: TextReader, texts: TextDraw, config: ClassifiersConfig, progress: PieceProgress
) -> ShiftScores:
    """Fit on every input, and read all sets."""
    train = reader.read(texts.train(config.train_rows))
    tests = [reader.read(texts.test(name, config.test_rows)) for name in SETS]
    table = []
    for done, name in enumerate(INPUTS):
        probe = ColumnProbe.fit(train.tables[name], train.truth, texts.seed)
        table.append(tuple(probe.auroc(test.tables[name], test.truth) for test in tests))
        progress(done + 1, len(INPUTS))
    return ShiftScores(inputs=INPUTS, sets=SETS, auroc=tuple(table))


def measure_planted(
    reader: TextReader, texts: TextDraw, config: ClassifiersConfig, progress: PieceProgress
) -> PlantedCue:
    """Plant a cue, find it among the largest weights, take it out.

    Which features are about the cue is told on harmless questions alone, with the cue and without it: no
    label of a harmful request is needed, as where a person reads what a feature is active on.
    """
    rows, tests = config.train_rows, config.test_rows
    train = reader.read(texts.cued(rows, harmful=True, harmless=False))
    clean = reader.read(texts.cued(rows, harmful=False, harmless=False))
    turned = reader.read(texts.cued(tests, harmful=False, harmless=True, name="turned", held=True))
    same = reader.read(texts.cued(tests, harmful=True, harmless=False, name="same", held=True))
    with_cue = reader.read(texts.cued(tests, harmful=False, harmless=True, name="neutral"))
    without_cue = reader.read(texts.cued(tests, harmful=False, harmless=False, name="neutral"))
    progress(1, 4)

    def neutral(read: ReadTexts, name: str) -> Tensor:
        return read.tables[name][~read.truth]

    probe = ColumnProbe.fit(train.tables[FEATURES], train.truth, texts.seed)
    best = ColumnProbe.fit(clean.tables[FEATURES], clean.truth, texts.seed)
    progress(2, 4)
    top = probe.top(config.read_back)
    about = area_under_curve(
        neutral(with_cue, FEATURES)[:, top].double().numpy(),
        neutral(without_cue, FEATURES)[:, top].double().numpy(),
    )
    cue = [feature for feature, value in zip(top, about, strict=True) if value >= ABOUT]
    others = [feature for feature in top if feature not in cue][: len(cue)]

    raw = ColumnProbe.fit(train.tables[RAW], train.truth, texts.seed)
    direction = neutral(with_cue, RAW).mean(0) - neutral(without_cue, RAW).mean(0)
    generator = torch.Generator().manual_seed(derived_seed(texts.seed, "direction"))
    random = torch.randn(len(direction), generator=generator)
    progress(3, 4)

    def score(probe: ColumnProbe, read: ReadTexts, name: str) -> float:
        return probe.auroc(read.tables[name], read.truth)

    def raw_without(along: Tensor) -> float:
        unit = along / along.norm()
        x = turned.tables[RAW]
        return raw.auroc(x - (x @ unit)[:, None] * unit, turned.truth)

    result = PlantedCue(
        cue_rank=top.index(cue[0]) + 1 if cue else None,
        cue_features=tuple(cue),
        clean=score(best, turned, FEATURES),
        features=score(probe, turned, FEATURES),
        features_without=score(probe.without(cue), turned, FEATURES),
        features_without_others=score(probe.without(others), turned, FEATURES),
        raw=score(raw, turned, RAW),
        raw_without=raw_without(direction),
        raw_without_random=raw_without(random),
        in_place=score(probe, same, FEATURES),
    )
    progress(4, 4)
    return result


def share_above(values: Float[Tensor, "rows"], threshold: float) -> float:
    """The share of rows above a threshold."""
    return float((values > threshold).float().mean())


def find_threshold(values: Float[Tensor, "rows"], rate: float) -> float:
    """What so many of these values are above."""
    return float(np.quantile(values.double().numpy(), 1 - rate))
