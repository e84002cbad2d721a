"""Classifiers over pooled activations or features: fitted, held out, read back, freed of what is spurious.

Rows are texts, columns what was pooled over their tokens: the highest activations of features, or raw
activations. The comparison is that of Bricken et al. 2024, "Using Dictionary Learning Features as
Classifiers"; to leave out columns that a person finds spurious and to score again is SHIFT (Marks et al.
2024, arXiv 2403.19647).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, export_text
from torch import Tensor

from mindscope.errors import DataError
from mindscope.features import Direction
from mindscope.store import Document

Kind = Literal["l2", "l1", "tree"]
"""Logistic regression with either penalty, its strength chosen by cross-validation, or a shallow tree."""
KINDS: tuple[Kind, ...] = ("l2", "l1", "tree")
PENALTIES = np.logspace(-3, 2, 6)
DEPTHS = (1, 2, 3, 4)
FOLDS = 3
RESAMPLES = 1000


class ScoreInterval(Document):
    """A measured value with its 95 % bootstrap interval over held-out rows."""

    value: float
    low: float
    high: float


class ProbeWeight(NamedTuple):
    """What one column says for the class: its weight per standard deviation, or a tree's importance."""

    column: int
    weight: float


class ProbeScores(Document):
    """How well a classifier tells held-out rows apart.

    Attributes:
        auroc: 0.5 by chance.
        f1: of the positive class at the classifier's own threshold, probability a half.
        rows, positive: how many rows, and how many of these are positive.
    """

    auroc: ScoreInterval
    f1: ScoreInterval
    rows: int
    positive: int


@dataclass(frozen=True)
class LinearProbe:
    """A fitted classifier.

    Attributes:
        kind: how it was fitted.
        scale: `[columns]`, each column's standard deviation in the training rows, by which it is divided.
        weights: `[columns]` on the divided columns (importances, for a tree).
        bias: added to them.
        ablated: columns that are taken as 0, wherever the classifier looks.
        setting: the penalty's inverse strength, or the depth, that cross-validation chose.
    """

    kind: Kind
    scale: Float[Tensor, "columns"]
    weights: Float[Tensor, "columns"]
    bias: float
    setting: float
    tree: DecisionTreeClassifier | None = None
    ablated: tuple[int, ...] = ()

    def probabilities(self, x: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows"]:
        """How likely each row is positive."""
        if x.shape[1] != len(self.scale):
            raise DataError(f"rows have {x.shape[1]} columns, the classifier was fitted on {len(self.scale)}")
        x = x.float() / self.scale
        x[:, list(self.ablated)] = 0
        if self.tree is None:
            return (x @ self.weights + self.bias).sigmoid()
        return torch.from_numpy(np.asarray(self.tree.predict_proba(x.numpy()))[:, 1]).float()

    def top(self, count: int = 10) -> list[ProbeWeight]:
        """The columns that decide most, by the size of their weights; those of weight 0 are left out."""
        order = self.weights.abs().argsort(descending=True, stable=True)[:count].tolist()
        return [ProbeWeight(i, self.weights[i].item()) for i in order if self.weights[i] != 0]

    def without(self, columns: Sequence[int]) -> "LinearProbe":
        """The same classifier with columns ablated: taken as 0, the others as they were, nothing refitted."""
        return replace(self, ablated=tuple(sorted({*self.ablated, *columns})))

    def direction(self, name: str, address: str, fingerprint: str) -> Direction:
        """A linear classifier over raw activations as a feature: where it points, it says yes.

        Raises:
            DataError: a tree has no direction.
        """
        if self.tree is not None:
            raise DataError("a tree has no direction: fit a linear classifier")
        return Direction(name, address, self.weights / self.scale, fingerprint)

    def rules(self, names: Sequence[str]) -> str:
        """A tree's questions as text, in the columns' own units."""
        if self.tree is None:
            raise DataError("a linear classifier has weights, not rules: see top()")
        return export_text(self.tree, feature_names=list(names))


def fit_probe(
    x: Float[Tensor, "rows columns"], y: Bool[Tensor, "rows"], kind: Kind = "l2", *, seed: int = 0
) -> LinearProbe:
    """Fit one classifier; how strong its penalty or how deep its tree, cross-validation on these rows says.

    Raises:
        DataError: NaN, unlike lengths, or fewer than three rows of a class.
    """
    _check(x, y)
    if kind not in KINDS:
        raise DataError(f"no classifier {kind!r}: use one of {', '.join(KINDS)}")
    if min(int(y.sum()), int((~y).sum())) < FOLDS:
        raise DataError(
            f"{int(y.sum())} positive and {int((~y).sum())} negative rows: {FOLDS} of each are needed to fit"
        )
    scale = x.float().std(0, correction=0)
    scale[scale == 0] = 1.0
    inputs, targets = (x.float() / scale).numpy(), y.numpy()
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    if kind == "tree":
        grid = {"max_depth": DEPTHS}
        searched = GridSearchCV(
            DecisionTreeClassifier(class_weight="balanced", random_state=seed),
            grid,
            scoring="roc_auc",
            cv=folds,
        ).fit(inputs, targets)
        tree = searched.best_estimator_
        weights = torch.from_numpy(tree.feature_importances_).float()
        return LinearProbe(kind, scale, weights, 0.0, float(searched.best_params_["max_depth"]), tree)
    settings: dict[str, Any] = {
        "Cs": PENALTIES,
        "cv": folds,
        "l1_ratios": (1.0,) if kind == "l1" else (0.0,),
        "solver": "liblinear" if kind == "l1" else "lbfgs",
        "scoring": "roc_auc",
        "class_weight": "balanced",
        "max_iter": 2000,
        "random_state": seed,
        "use_legacy_attributes": False,
    }
    fitted = LogisticRegressionCV(**settings).fit(inputs, targets)
    weights = torch.from_numpy(fitted.coef_[0]).float()
    return LinearProbe(kind, scale, weights, float(fitted.intercept_[0]), float(fitted.C_))


def score_probe(
    probe: LinearProbe, x: Float[Tensor, "rows columns"], y: Bool[Tensor, "rows"], *, seed: int = 0
) -> ProbeScores:
    """AUROC and F1 on held-out rows, with bootstrap intervals over them.

    Raises:
        DataError: NaN, unlike lengths, or rows of one class only.
    """
    _check(x, y)
    truth, said = y.numpy(), probe.probabilities(x).numpy()
    if truth.all() or not truth.any():
        raise DataError("held-out rows of one class only: there is nothing to tell apart")
    draw = np.random.default_rng(seed)
    # How often each row is in each resample; those of one class say nothing.
    counts = np.stack(
        [
            np.bincount(draw.integers(len(truth), size=len(truth)), minlength=len(truth))
            for _ in range(RESAMPLES)
        ]
    )
    both = (counts @ truth > 0) & (counts @ ~truth > 0)
    counts = np.concatenate([np.ones((1, len(truth)), np.int64), counts[both]])
    auroc, f1 = (
        _interval(values) for values in (_aurocs(truth, said, counts), _f1s(truth, said > 0.5, counts))
    )
    return ProbeScores(auroc=auroc, f1=f1, rows=len(truth), positive=int(truth.sum()))


def _interval(values: np.ndarray) -> ScoreInterval:
    """The first value, with what 95 % of the others lie between."""
    low, high = np.quantile(values[1:], (0.025, 0.975)).tolist()
    return ScoreInterval(value=float(values[0]), low=low, high=high)


def _aurocs(truth: np.ndarray, said: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The share of pairs in the right order, ties as half, of each resample."""
    level = np.unique(said, return_inverse=True)[1]
    ties = np.zeros((len(truth), level.max() + 1))
    ties[np.arange(len(truth)), level] = 1
    positive, negative = (counts * truth) @ ties, (counts * ~truth) @ ties
    below = negative.cumsum(1) - negative / 2
    return (positive * below).sum(1) / (positive.sum(1) * negative.sum(1))


def _f1s(truth: np.ndarray, said: np.ndarray, counts: np.ndarray) -> np.ndarray:
    right, errors = counts @ (truth & said), counts @ (truth != said)
    return 2 * right / np.maximum(1, 2 * right + errors)


def _check(x: Tensor, y: Tensor) -> None:
    if len(x) != len(y):
        raise DataError(f"{len(x)} rows have {len(y)} labels: one each is needed")
    if not x.isfinite().all():
        raise DataError("the rows hold NaN or infinity: leave out texts that were not read")
