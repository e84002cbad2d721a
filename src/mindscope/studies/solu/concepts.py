"""Which known concepts a single neuron stands for.

Asked from both sides, by the texts of `common/concept_bench.py`:

- of a concept, the F1 of its best neuron: what can be found at all;
- of a neuron, the F1 of its best concept, and whether that beats the best single token for the same concept:
  whether the neuron is about something known.

Beside them stands a linear reader of all neurons (ridge regression on the same pooled activations): a concept
that it reads and no neuron stands for is in the neurons, across them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.studies.common import (
    ConceptBench,
    ConceptHalf,
    ConceptTexts,
    TinyTransformers,
    best_f1s,
    read_neurons,
    score_concepts,
)
from mindscope.studies.solu.neurons import ROWS_AT_ONCE
from mindscope.studies.solu.paper import STANDS
from mindscope.studies.solu.results import NeuronConcepts

RIDGE = 0.1
"""The linear reader's penalty, as a share of the texts; activations have unit variance. Not tuned."""


def measure_neurons(
    bench: ConceptBench,
    models: TinyTransformers,
    turns: Float[Tensor, "seeds neurons neurons"],
    tokens: ConceptTexts,
) -> NeuronConcepts:
    """Concepts of neurons, and of a rotation of them, by seed."""
    train, test = (_pool_neurons(models, half, turns) for half in (bench.train, bench.test))
    best, readable, standing, beyond, rotated = [], [], [], [], []
    baseline = torch.tensor(tokens.tokens)
    for seed in range(models.config.seeds):
        views = []
        for view in (0, 1):
            sides = ([pool[view][seed] for pool in half] for half in (train, test))
            views.append(bench.score_readings(*sides))
        (chosen, held), (turned, turned_held) = views
        best.append(best_f1s(chosen, held))
        readable.append(_read_linearly(bench, train, test, seed))
        concept = chosen.argmax(0, keepdim=True)
        own = held.gather(0, concept)[0]
        stands = own >= STANDS
        standing.append(float(stands.float().mean()))
        beyond.append(float((stands & (own > baseline[concept[0]])).float().mean()))
        own = turned_held.gather(0, turned.argmax(0, keepdim=True))[0]
        rotated.append(float((own >= STANDS).float().mean()))
    return NeuronConcepts(
        standing=tuple(standing),
        beyond_tokens=tuple(beyond),
        standing_rotated=tuple(rotated),
        best=tuple(zip(*best, strict=True)),
        readable=tuple(zip(*readable, strict=True)),
    )


def fit_linearly(
    x: Float[Tensor, "train readings"],
    shown: Bool[Tensor, "train concepts"],
    held_x: Float[Tensor, "test readings"],
) -> tuple[Float[Tensor, "train concepts"], Float[Tensor, "test concepts"]]:
    """A ridge regression's scores for each concept on both halves, moved so that none is below 0."""
    mean, spread = x.mean(0), x.std(0).clamp(min=1e-6)
    inputs, held_inputs = (x - mean) / spread, (held_x - mean) / spread
    truth = shown.float() - shown.float().mean(0)
    covariance = inputs.T @ inputs + RIDGE * len(x) * torch.eye(x.shape[1])
    weights = torch.linalg.solve(covariance, inputs.T @ truth)
    said, held_said = inputs @ weights, held_inputs @ weights
    least = said.amin(0) - 1
    return said - least, held_said - least


def _read_linearly(bench: ConceptBench, train: Sequence, test: Sequence, seed: int) -> list[float]:
    best = [0.0] * len(bench.concepts)
    sides = ([pool[0][seed] for pool in half] for half in (train, test))
    for own, x, held_x in bench.by_pool(*sides):
        shown = bench.train.shown[:, own], bench.test.shown[:, own]
        said, held_said = fit_linearly(x, shown[0], held_x)
        for number, concept in enumerate(own):
            only = slice(number, number + 1)
            _, held = score_concepts(said[:, only], shown[0][:, only], held_said[:, only], shown[1][:, only])
            best[concept] = round(float(held), 5)
    return best


def _pool_neurons(
    models: TinyTransformers, half: ConceptHalf, turns: Float[Tensor, "seeds neurons neurons"]
) -> list[tuple[Tensor, Tensor]]:
    """For each pool the neurons, and their rotation, `[seeds, texts, neurons]` each; 0 where nothing is meant
    or nothing is above 0.
    """
    parts: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in half.meant]
    for start in range(0, len(half.ids), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        before = read_neurons(models, half.ids[part]).before
        for number, view in enumerate((before, before @ turns[:, None])):
            for own, meant in zip(parts, half.meant, strict=True):
                own[number].append((view.clamp(min=0) * meant[part, :, None]).amax(2))
    return [(torch.cat(own, 1), torch.cat(turned, 1)) for own, turned in parts]
