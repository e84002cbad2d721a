"""Which latents carry a concept: spurious correlation removal and targeted probe perturbation.

Both ablate the n latents with the largest effect on a probe and look what probes can still tell (SAEBench,
arXiv 2503.09532, after Karvonen et al. 2024, arXiv 2411.18895, and SHIFT, arXiv 2403.19647). The effect of a
latent is the difference of its mean activations between the classes times the probe's product with its
decoder row. The reconstruction's error stays in the activations.

Neither should rank dictionaries. Chanin 2026 ("Are Sparse Autoencoder Benchmarks Reliable?", arXiv
2605.18229) reports that both fail at their canonical settings, in noise over draws, in agreement with the
truth on synthetic dictionaries and in telling stages of training apart, and advises against them. They are
kept to say which latents of one dictionary carry a concept, and so that published numbers can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindscope.dictionaries.evaluation.pooled import PooledActivations
from mindscope.dictionaries.evaluation.probing import LEAST, build_tasks, mean_differences, probe_latents
from mindscope.errors import DataError

UNRELIABLE = (
    "TPP and SCR should not rank dictionaries: arXiv 2605.18229 reports that both fail at their canonical "
    "settings, in noise, in agreement with the truth on synthetic dictionaries, and in telling stages of "
    "training apart. Read them as which latents of this dictionary carry a concept."
)
"""What stands beside both wherever they are shown."""
NS = (2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class ProbePerturbation:
    """Targeted probe perturbation, by how many latents were ablated for each class.

    Attributes:
        score: `targeted` less `others`; 1 would be a perfect disentanglement, with probes that lose all.
        targeted: how much accuracy the probe of the class loses, the mean over classes.
        others: how much the probes of the other classes lose.
    """

    score: dict[int, float]
    targeted: dict[int, float]
    others: dict[int, float]


@dataclass(frozen=True, slots=True)
class CorrelationRemoval:
    """Spurious correlation removal, by how many latents were ablated.

    Attributes:
        score: (changed - original) / (clean - original); 0 where the clean probe is no better.
        changed: accuracy of the biased probe after the ablation.
        original: before it.
        clean: accuracy of a probe that was trained on balanced data.
    """

    score: dict[int, float]
    changed: dict[int, float]
    original: float
    clean: float


def perturb_probes(
    pooled: PooledActivations,
    decoder: np.ndarray,
    labels: Sequence[str],
    *,
    seed: int = 0,
    ns: Sequence[int] = NS,
) -> ProbePerturbation:
    """TPP: ablate the latents of one class, and see which probes lose. `decoder` is `[latents, d_out]`."""
    tasks = build_tasks(labels, seed)
    probes, before, effects = [], [], []
    for task in tasks:
        probe = probe_latents(pooled.activations[task.train], task.train_labels)
        probes.append(probe)
        before.append(probe.score(pooled.activations[task.test], task.test_labels))
        difference = mean_differences(pooled.latents[task.train], task.train_labels)
        effects.append(difference.clip(min=0) * (decoder @ probe.coef_[0]))
    targeted, others = {}, {}
    for n in ns:
        lost = np.zeros((len(tasks), len(tasks)))
        for i, effect in enumerate(effects):
            gone = strongest(effect, n)
            for j, task in enumerate(tasks):
                x = pooled.take(task.test).without(gone, decoder)
                lost[i, j] = before[j] - probes[j].score(x, task.test_labels)
        own = np.eye(len(tasks), dtype=bool)
        targeted[n], others[n] = float(lost[own].mean()), float(lost[~own].mean())
    return ProbePerturbation({n: targeted[n] - others[n] for n in ns}, targeted, others)


def remove_correlation(
    pooled: PooledActivations,
    decoder: np.ndarray,
    shown: Sequence[bool],
    spurious: Sequence[bool],
    *,
    seed: int = 0,
    ns: Sequence[int] = NS,
) -> CorrelationRemoval:
    """SCR: a probe learns the wanted concept where it always comes with a spurious one; take that out.

    The biased probe sees texts with both concepts or none. The clean probe, and the one of the spurious
    concept whose latents are ablated, see as many texts of all four combinations.

    Raises:
        DataError: one of the four combinations has too few texts.
    """
    want, other = np.asarray(shown, bool), np.asarray(spurious, bool)
    draw = np.random.default_rng(seed)
    cells = [draw.permutation(np.flatnonzero((want == a) & (other == b))) for a in (1, 0) for b in (1, 0)]
    size = min(map(len, cells))
    if size < LEAST:
        raise DataError(
            f"spurious correlation removal needs {LEAST} texts of each combination, one has {size}"
        )
    cut = max(1, round(0.3 * size))
    test = np.concatenate([cell[:cut] for cell in cells])
    balanced = np.concatenate([cell[cut:size] for cell in cells])
    biased = np.concatenate([cells[0][cut:size], cells[3][cut:size]])
    x = pooled.activations
    bias = probe_latents(x[biased], want[biased])
    clean = float(probe_latents(x[balanced], want[balanced]).score(x[test], want[test]))
    original = float(bias.score(x[test], want[test]))
    direction = probe_latents(x[balanced], other[balanced]).coef_[0]
    difference = mean_differences(pooled.latents[balanced], other[balanced].astype(int))
    effect = np.abs(difference * (decoder @ direction))
    changed = {
        n: float(bias.score(pooled.take(test).without(strongest(effect, n), decoder), want[test])) for n in ns
    }
    room = clean - original
    return CorrelationRemoval(
        {n: (value - original) / room if room >= 0.001 else 0.0 for n, value in changed.items()},
        changed,
        original,
        clean,
    )


def strongest(effect: np.ndarray, n: int) -> np.ndarray:
    """The n latents with the largest effect, of those that have one."""
    best = np.argsort(-effect, kind="stable")[:n]
    return best[effect[best] != 0]
