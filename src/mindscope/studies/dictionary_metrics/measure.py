"""Dictionaries of all methods on one world, and what every metric and the truth say of each."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from torch import Tensor

from mindscope.dictionaries import (
    Dictionary,
    DictionaryConfig,
    Method,
    PooledActivations,
    ReconstructionSums,
    TrainConfig,
    k_sparse,
    measure_absorption,
    perturb_probes,
    remove_correlation,
    train,
)
from mindscope.probes import best_single_features
from mindscope.store import Run, derived_seed
from mindscope.studies.common import PieceProgress
from mindscope.studies.dictionary_metrics.agreement import SPARSITY
from mindscope.studies.dictionary_metrics.atoms import ADDRESS, AtomSource, AtomWorld
from mindscope.studies.dictionary_metrics.config import DictionaryMetricsConfig
from mindscope.studies.dictionary_metrics.results import AtomWorldScores, DictionaryScores

SHOWN = 10
"""Latents that TPP and SCR ablate, as in the table of `dictionary evaluate`."""
DEAD_TOKENS = 50_000
"""A latent that was silent for so many samples is dead; the papers' ten million are more than there are."""


def train_world(
    world: AtomWorld,
    number: int,
    reseed: int,
    config: DictionaryMetricsConfig,
    run: Run,
    progress: Callable[[int, int], None],
) -> dict[tuple[Method, int], Dictionary]:
    """Every method at every size, on one pass over the same samples."""
    prefix = f"world{number}-{reseed}"
    kinds: dict[str, tuple[Method, int]] = {
        f"{prefix}-{method}-{size}": (method, size) for method in config.methods for size in config.sizes
    }
    dictionaries = tuple(
        DictionaryConfig(
            name=name,
            reads=(ADDRESS,),
            n_latents=size,
            method=method,
            k=config.k,
            learning_rate=config.learning_rate,
            dead_tokens=DEAD_TOKENS,
        )
        for name, (method, size) in kinds.items()
    )
    trained = train(
        AtomSource(world),
        run,
        TrainConfig(
            dictionaries=dictionaries,
            steps=config.steps,
            batch_tokens=config.batch_tokens,
            buffer_batches=16,
            keep_outliers=True,
            log_every=config.steps,
            seed=derived_seed(world.seed, "weights", reseed) % 2**31,
        ),
        progress=lambda done, total, _: progress(done, total),
    )
    return {kinds[name]: dictionary for name, dictionary in trained.items()}


def measure_training(
    world: AtomWorld,
    number: int,
    reseed: int,
    config: DictionaryMetricsConfig,
    run: Run,
    progress: PieceProgress,
) -> AtomWorldScores:
    """Train one of every kind, and say what each recovered and what every metric has of it."""
    generator = torch.Generator().manual_seed(derived_seed(world.seed, "samples"))
    x, strengths = world.draw(config.samples, generator)
    half = config.samples // 2
    shown = strengths > 0
    # an atom that is in too few samples has no F1 to speak of
    told = (shown[:half].sum(0) >= 2) & (shown[half:].sum(0) >= 2)

    def recovered(values: Float[Tensor, "samples columns"]) -> float:
        singles = best_single_features(values[:half], shown[:half, told], values[half:], shown[half:, told])
        return float(np.mean([single.f1 for single in singles]))

    baseline = recovered(torch.cat([x, -x], 1).clamp(min=0))
    trained = train_world(world, number, reseed, config, run, lambda step, steps: progress(step, 2 * steps))
    scores = []
    for place, ((method, latents), dictionary) in enumerate(trained.items()):
        scores.append(
            DictionaryScores(
                method=method,
                latents=latents,
                reseed=reseed,
                recovery=recovered(dictionary.encode(x).dense().float()) - baseline,
                matched=match_atoms(world.directions, dictionary.decoder(0, 0).float()),
                metrics=_by_metric(
                    [measure_metrics(world, dictionary, config, draw) for draw in range(config.draws)]
                ),
            )
        )
        progress(len(trained) + place + 1, 2 * len(trained))
    return AtomWorldScores(
        active=float(shown.float().sum(1).mean()), baseline=baseline, dictionaries=tuple(scores)
    )


def join_trainings(trainings: Sequence[AtomWorldScores]) -> AtomWorldScores:
    """All trainings of one world, whose samples are the same."""
    dictionaries = tuple(each for training in trainings for each in training.dictionaries)
    return trainings[0].model_copy(update={"dictionaries": dictionaries})


def match_atoms(directions: Float[Tensor, "atoms width"], decoder: Float[Tensor, "latents width"]) -> float:
    """The mean cosine of atoms with decoder rows, each row for one atom at most, so that the sum is highest.

    An atom that gets no row counts as 0.
    """
    cosines = (directions @ torch.nn.functional.normalize(decoder, dim=1).T).clamp(min=0).numpy()
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return float(cosines[rows, columns].sum() / len(directions))


def measure_metrics(
    world: AtomWorld, dictionary: Dictionary, config: DictionaryMetricsConfig, draw: int
) -> dict[str, float | None]:
    """Every metric on one draw of samples; higher is better."""
    seed = derived_seed(world.seed, "metrics", draw)
    generator = torch.Generator().manual_seed(seed)
    x, _ = world.draw(config.samples, generator)
    code = dictionary.encode(x)
    sums = ReconstructionSums(x.shape[1])
    sums.add(x, dictionary.reconstruct(x, code))
    fit = sums.result()
    density = (code.dense() > 0).float().mean(0)
    labels = torch.arange(world.config.parents).repeat_interleave(config.labelled)
    pooled = _pool(dictionary, world.draw(len(labels), generator, labels)[0])
    names = [f"parent {label}" for label in labels.tolist()]
    decoder = dictionary.coder.W_dec.detach().float().numpy()
    draw_seed = seed % 2**31
    probing = k_sparse(pooled, names, seed=draw_seed, auc_ks=(1,))
    absorbed = measure_absorption(pooled, decoder, names, seed=draw_seed).fraction
    # what is wanted is the commonest single atom; it comes with one of two parents, which say more
    two = torch.arange(2).repeat_interleave(2 * config.labelled)
    flags = torch.arange(2).repeat_interleave(config.labelled).repeat(2).float()
    both = _pool(dictionary, world.draw(len(two), generator, two, flags)[0])
    removed = remove_correlation(
        both, decoder, (flags == 1).tolist(), (two == 1).tolist(), seed=draw_seed, ns=(SHOWN,)
    )
    perturbed = perturb_probes(pooled, decoder, names, seed=draw_seed, ns=(SHOWN,))
    return {
        "explained variance": fit.explained_variance,
        "cosine": fit.cosine,
        SPARSITY: -float(density.sum()),
        "alive": float((density > 0).float().mean()),
        **{f"probe k={k}": value for k, value in probing.latents.items()},
        **{f"probe AUC k={k}": value for k, value in probing.auc.items()},
        "not absorbed": None if absorbed is None else 1 - absorbed,
        f"TPP n={SHOWN}": perturbed.score[SHOWN],
        f"SCR n={SHOWN}": removed.score[SHOWN],
    }


def _pool(dictionary: Dictionary, x: Float[Tensor, "samples width"]) -> PooledActivations:
    latents = dictionary.encode(x).dense().float().numpy()
    return PooledActivations(x.numpy(), csr_matrix(latents))


def _by_metric(
    draws: Sequence[dict[str, float | None]],
) -> dict[str, tuple[float | None, ...]]:
    return {name: tuple(draw[name] for draw in draws) for name in draws[0]}
