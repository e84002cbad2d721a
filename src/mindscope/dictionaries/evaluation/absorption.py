"""Feature absorption: a latent stays silent where it should fire, and another fires in its place.

Chanin et al. 2024 (arXiv 2409.14507), with the measures and constants of SAEBench (arXiv 2503.09532). There
the classes are first letters and the vectors those of one token; here any classes of any vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from mindscope.dictionaries.evaluation.pooled import PooledActivations
from mindscope.dictionaries.evaluation.probing import build_tasks, probe_latents

MOST_SPLITS = 10
F1_JUMP = 0.03
"""A further latent belongs to a concept where it raises the probe's F1 by more than this."""
LEAST_F1 = 0.6
"""A concept that a probe on the activations does not find so well is left out."""
FULL_COSINE, FRACTION_COSINE = 0.025, 0.1
"""A latent absorbs a concept if its decoder row has at least this cosine with the concept's probe."""
SHARE = 0.4
"""Absorbing latents make up at least this share of the activations' projection on the probe."""
MOST_ABSORBING = 3


@dataclass(frozen=True, slots=True)
class FeatureAbsorption:
    """The mean over concepts.

    Attributes:
        fraction: how much of the projection on the probe comes from absorbing latents instead of the
            concept's own, over the texts that the probe finds.
        full: the share of these texts on which the concept's own latents are silent and one other stands in.
        concepts: by class, both numbers and the concept's own latents.
    """

    fraction: float | None
    full: float | None
    concepts: dict[str, tuple[float, float, tuple[int, ...]]]


def measure_absorption(
    pooled: PooledActivations, decoder: np.ndarray, labels: Sequence[str], *, seed: int = 0
) -> FeatureAbsorption:
    """See `FeatureAbsorption`. `decoder` is `[latents, d_out]`."""
    norms = np.linalg.norm(decoder, axis=1)
    measured: dict[str, tuple[float, float, tuple[int, ...]]] = {}
    for task in build_tasks(labels, seed):
        x = pooled.activations
        truth = probe_latents(x[task.train], task.train_labels)
        if f1_score(task.test_labels, truth.predict(x[task.test])) < LEAST_F1:
            continue
        own = own_latents(pooled, task.train, task.train_labels, task.test, task.test_labels)
        seen = task.test[(task.test_labels == 1) & (truth.decision_function(x[task.test]) > 0)]
        if not len(seen) or not len(own):
            continue
        direction = truth.coef_[0] / np.linalg.norm(truth.coef_[0])
        cosines = decoder @ direction / np.where(norms > 0, norms, 1)
        acts = np.asarray(pooled.latents[seen].todense())
        scored = [
            of_text(active, float(x[text] @ direction), cosines, own)
            for active, text in zip(acts, seen, strict=True)
        ]
        fraction, full = np.mean(scored, axis=0)
        measured[task.name] = (float(fraction), float(full), tuple(map(int, own)))
    if not measured:
        return FeatureAbsorption(None, None, {})
    fractions, fulls = zip(*[(shares[0], shares[1]) for shares in measured.values()], strict=True)
    return FeatureAbsorption(float(np.mean(fractions)), float(np.mean(fulls)), measured)


def own_latents(
    pooled: PooledActivations,
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
) -> np.ndarray:
    """The latents a concept is split over: those with the largest weights in an L1 probe, while each
    further one raises the F1 of a probe on them.
    """
    sparse = LogisticRegression(l1_ratio=1.0, solver="liblinear").fit(pooled.latents[train], train_labels)
    weights = sparse.coef_[0]
    best = np.argsort(-weights, kind="stable")[:MOST_SPLITS]
    best = best[weights[best] > 0]
    taken, before = 0, 0.0
    for k in range(1, len(best) + 1):
        columns = np.asarray(pooled.latents[:, best[:k]].todense())
        f1 = f1_score(test_labels, probe_latents(columns[train], train_labels).predict(columns[test]))
        if k > 1 and f1 - before <= F1_JUMP:
            break
        taken, before = k, f1
    return best[:taken]


def of_text(acts: np.ndarray, projection: float, cosines: np.ndarray, own: np.ndarray) -> tuple[float, float]:
    """The absorption fraction of one text, and 1 if it is absorbed in full, else 0.

    Args:
        acts: `[latents]`.
        projection: of the activations on the probe's direction; above 0.
        cosines: `[latents]`, of decoder rows with that direction.
        own: the concept's own latents.
    """
    shares = acts * cosines
    own_share = float(shares[own].sum())
    others = (cosines >= FRACTION_COSINE) & (shares > 0)
    others[own] = False
    replacement = float(np.sort(shares[others])[::-1][:MOST_ABSORBING].sum())
    if own_share >= projection or projection <= 0 or replacement / projection < SHARE:
        fraction = 0.0
    elif own_share <= 0:
        fraction = 1.0
    else:
        absorbed = min(replacement, projection - own_share)
        fraction = absorbed / (absorbed + own_share)
    top = int(shares.argmax())
    full = (
        projection > 0
        and bool((acts[own] < 1e-8).all())
        and cosines[top] >= FULL_COSINE
        and shares[top] / projection >= SHARE
    )
    return fraction, float(full)
