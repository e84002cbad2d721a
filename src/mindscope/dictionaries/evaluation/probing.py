"""Probes on few latents: k-sparse probing (arXiv 2305.01610), in two variants.

Both choose the k latents whose means differ most between the classes, and fit a logistic regression on them.

- As in SAEBench (arXiv 2503.09532): accuracy, C = 1.
- As sae-probes does (Kantamneni et al. 2025, arXiv 2502.16681): the area under the ROC curve, with the
  strength C of the L2 penalty chosen by cross-validation on the training texts, out of ten between 1e5 and
  1e-5. It is reported to be the most reliable measure of SAEBench's (Chanin 2026, arXiv 2605.18229), and
  still not to tell variants of one architecture apart. Ours differs in the texts: those that are given, not
  its 113 data sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from mindscope.dictionaries.evaluation.pooled import PooledActivations
from mindscope.errors import DataError
from mindscope.stats import area_under_curve

KS = (1, 2, 5)
AUC_KS = (1, 5, 16)
"""SAEBench reports sae-probes at 1 and 16."""
PENALTIES = tuple(np.logspace(5, -5, 10).tolist())
FOLDS = 6
"""Of the cross-validation that chooses the penalty; fewer where a class has fewer texts."""
LEAST = 10
"""A class with fewer texts is not probed."""


@dataclass(frozen=True, slots=True)
class ProbingScores:
    """Accuracy of probes that tell one class from the others, chance being 0.5; the mean over classes.

    Attributes:
        latents: by k, of a probe on the k latents whose means differ most between the classes.
        neurons: the same with single dimensions of the activations, the baseline.
        activations: of a probe on all dimensions, the upper bound.
        classes: by class, the accuracies on latents by k.
        auc: by k, the area under the ROC curve of a probe whose penalty was chosen by cross-validation.
    """

    latents: dict[int, float]
    neurons: dict[int, float]
    activations: float
    classes: dict[str, dict[int, float]] = field(default_factory=dict)
    auc: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ProbingTask:
    """One class against the others, as many of both, parted into training and test."""

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def build_tasks(labels: Sequence[str], seed: int, held_out: float = 0.3) -> list[ProbingTask]:
    """A balanced task for each class, with a part of every class held out for the test.

    Raises:
        DataError: there are not two classes of `LEAST` texts.
    """
    given = np.asarray(labels)
    names, counts = np.unique(given, return_counts=True)
    names = [str(name) for name, count in zip(names, counts, strict=True) if count >= LEAST]
    if len(names) < 2:
        raise DataError(f"probing needs two classes with {LEAST} texts each, {len(names)} have so many")
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(given))
    testing = np.zeros(len(given), bool)
    for name in names:
        members = order[given[order] == name]
        testing[members[: max(1, round(held_out * len(members)))]] = True
    result = []
    for name in names:
        parts = []
        for side in (~testing, testing):
            positive = order[side[order] & (given[order] == name)]
            negative = order[side[order] & (given[order] != name)]
            size = min(len(positive), len(negative))
            chosen = np.concatenate([positive[:size], negative[:size]])
            parts += [chosen, np.repeat([1, 0], size)]
        result.append(ProbingTask(name, *parts))
    return result


def probe_latents(x: np.ndarray | csr_matrix, labels: np.ndarray) -> LogisticRegression:
    """A logistic regression with an L2 penalty, C = 1."""
    return LogisticRegression(max_iter=1000).fit(x, labels)


def mean_differences(x: np.ndarray | csr_matrix, labels: np.ndarray) -> np.ndarray:
    """By column: the mean of the positive texts less that of the negative ones."""
    difference = x[labels == 1].mean(axis=0) - x[labels == 0].mean(axis=0)
    return np.asarray(difference).ravel()


def k_sparse(
    pooled: PooledActivations,
    labels: Sequence[str],
    *,
    seed: int = 0,
    ks: Sequence[int] = KS,
    auc_ks: Sequence[int] = AUC_KS,
) -> ProbingScores:
    """See `ProbingScores`. Raises DataError as `tasks` does."""
    latents: dict[str, dict[int, float]] = {}
    neurons: dict[str, dict[int, float]] = {}
    aucs: dict[str, dict[int, float]] = {}
    whole = []
    for task in build_tasks(labels, seed):
        for x, scores in ((pooled.latents, latents), (pooled.activations, neurons)):
            best = rank_columns(x, task)
            scores[task.name] = {k: _accuracy(_columns(x, best[:k]), task) for k in ks}
        best = rank_columns(pooled.latents, task)
        aucs[task.name] = {k: probe_auc(_columns(pooled.latents, best[:k]), task, seed) for k in auc_ks}
        whole.append(_accuracy(pooled.activations, task))
    return ProbingScores(
        _mean(latents, ks), _mean(neurons, ks), float(np.mean(whole)), latents, _mean(aucs, auc_ks)
    )


def rank_columns(x: np.ndarray | csr_matrix, task: ProbingTask) -> np.ndarray:
    """The columns by how far the classes' means are apart on the training texts, the farthest first."""
    return np.argsort(-np.abs(mean_differences(x[task.train], task.train_labels)), kind="stable")


def probe_auc(x: np.ndarray, task: ProbingTask, seed: int) -> float:
    """The area under the ROC curve on the test texts, with the penalty that is best on the training texts."""
    train, labels = x[task.train], task.train_labels
    n_folds = min(FOLDS, int(np.bincount(labels).min()))
    folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(train, labels))

    def validated(penalty: float) -> float:
        scores = []
        for fitted, left in folds:
            probe = LogisticRegression(C=penalty, max_iter=1000).fit(train[fitted], labels[fitted])
            scores.append(_area(labels[left], probe.decision_function(train[left])))
        return float(np.mean(scores))

    chosen = LogisticRegression(C=max(PENALTIES, key=validated), max_iter=1000).fit(train, labels)
    return _area(task.test_labels, chosen.decision_function(x[task.test]))


def _area(labels: np.ndarray, margins: np.ndarray) -> float:
    # by ranks: scikit-learn walks along the curve, which takes 25 times as long on few texts
    return float(area_under_curve(margins[labels == 1, None], margins[labels == 0, None])[0])


def _columns(x: np.ndarray | csr_matrix, chosen: np.ndarray) -> np.ndarray:
    return x[:, chosen].toarray() if issparse(x) else x[:, chosen]  # pyright: ignore[reportAttributeAccessIssue]


def _accuracy(x: np.ndarray, task: ProbingTask) -> float:
    return float(probe_latents(x[task.train], task.train_labels).score(x[task.test], task.test_labels))


def _mean(by_class: dict[str, dict[int, float]], ks: Sequence[int]) -> dict[int, float]:
    return {k: float(np.mean([scores[k] for scores in by_class.values()])) for k in ks}
