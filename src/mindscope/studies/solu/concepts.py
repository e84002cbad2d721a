"""Which known concepts a single neuron stands for.

The organism's world says which concepts a text shows. A text is read by each neuron's highest activation over
the tokens where the concept is read; threshold and neuron are chosen on one half of the texts and tested on
the other. Asked from both sides:

- of a concept, the F1 of its best neuron: what can be found at all;
- of a neuron, the F1 of its best concept, and whether that beats the best single token for the same concept:
  whether the neuron is about something known.

Beside them stands a linear reader of all neurons (ridge regression on the same pooled activations): a concept
that it reads and no neuron stands for is in the neurons, across them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.explain import LabelledText, list_pools
from mindscope.jobs.feature import split_concept_texts
from mindscope.models import Model, row_mask, vocabulary
from mindscope.probes import Concept, best_thresholds
from mindscope.studies.common import TinyTransformers, TokenText
from mindscope.studies.solu.neurons import ROWS_AT_ONCE, read_neurons
from mindscope.studies.solu.paper import STANDS
from mindscope.studies.solu.results import ConceptTexts, NeuronConcepts

LEAST_TEXTS = 5
"""A concept that fewer texts of a half show is not looked for."""
MOST_SHARE = 0.2
"""Nor one that a larger share of them shows: of these, whoever always says yes has an F1 near a half."""
RIDGE = 0.1
"""The linear reader's penalty, as a share of the texts; activations have unit variance. Not tuned."""

Pooled = Float[Tensor, "texts readings"]


@dataclass(frozen=True)
class ConceptHalf:
    """Texts of one half.

    Attributes:
        ids: padded behind; what stands there is read by nothing before it.
        meant: for each pool the tokens that count.
        shown: whether a text shows a concept.
    """

    ids: Int[Tensor, "texts tokens"]
    meant: tuple[Bool[Tensor, "texts tokens"], ...]
    shown: Bool[Tensor, "texts concepts"]


@dataclass(frozen=True)
class ConceptBench:
    """Concepts and texts of both halves.

    Attributes:
        concepts: those that enough texts of both halves show, and not too many.
        pools: of each concept, over which tokens it is read: its number among those of a half.
        too_long: texts that were left out.
    """

    concepts: tuple[Concept, ...]
    pools: tuple[int, ...]
    train: ConceptHalf
    test: ConceptHalf
    too_long: int

    @classmethod
    def read(cls, model: Model, text: TokenText, context: int, scale: float, seed: int) -> "ConceptBench":
        """The world's texts in the small models' tokens, those that fit into their context."""
        from mindscope.organism import world_concepts

        halves = split_concept_texts(model, scale=scale, seed=seed)
        fitting = [[one for one in half if len(one.row) <= context] for half in halves]
        concepts = [
            concept
            for concept in world_concepts()
            if all(
                LEAST_TEXTS <= sum(concept.name in one.concepts for one in half) <= MOST_SHARE * len(half)
                for half in fitting
            )
        ]
        pools = list_pools(concepts)
        train, test = (_read_half(model, text, half, concepts, context) for half in fitting)
        return cls(
            tuple(concepts),
            tuple(pools.index((concept.where, concept.at)) for concept in concepts),
            train,
            test,
            sum(map(len, halves)) - sum(map(len, fitting)),
        )

    def measure_tokens(self, size: int) -> ConceptTexts:
        """How well the best single token stands for each concept; `size` of the vocabulary."""
        pooled = [_pool_tokens(half, size) for half in (self.train, self.test)]
        best = [0.0] * len(self.concepts)
        for own, train, test in self._by_pool(*pooled):
            chosen, held = score_concepts(train, self.train.shown[:, own], test, self.test.shown[:, own])
            for concept, f1 in zip(own, _of_best(chosen, held), strict=True):
                best[concept] = f1
        return ConceptTexts(
            concepts=tuple(concept.name for concept in self.concepts),
            tokens=tuple(best),
            rows=(len(self.train.ids), len(self.test.ids)),
            too_long=self.too_long,
        )

    def measure_neurons(
        self, models: TinyTransformers, turns: Float[Tensor, "seeds neurons neurons"], tokens: ConceptTexts
    ) -> NeuronConcepts:
        """Concepts of neurons, and of a rotation of them, by seed."""
        train, test = (_pool_neurons(models, half, turns) for half in (self.train, self.test))
        best, readable, standing, beyond, rotated = [], [], [], [], []
        baseline = torch.tensor(tokens.tokens)
        for seed in range(models.config.seeds):
            views = []
            for view in (0, 1):
                sides = ([pool[view][seed] for pool in half] for half in (train, test))
                views.append(self._score_seed(*sides))
            (chosen, held), (turned, turned_held) = views
            best.append(_of_best(chosen, held))
            readable.append(self._read_linearly(train, test, seed))
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

    def _by_pool(
        self, train: Sequence[Pooled], test: Sequence[Pooled]
    ) -> list[tuple[list[int], Pooled, Pooled]]:
        """For each pool its concepts, and both halves read over it."""
        return [
            ([concept for concept, own in enumerate(self.pools) if own == pool], train[pool], test[pool])
            for pool in dict.fromkeys(self.pools)
        ]

    def _score_seed(self, train: Sequence[Pooled], test: Sequence[Pooled]) -> tuple[Tensor, Tensor]:
        """F1 of every reading for every concept, `[concepts, readings]`: where chosen, and held out."""
        chosen = torch.zeros(len(self.concepts), train[0].shape[1])
        held = torch.zeros_like(chosen)
        for own, x, held_x in self._by_pool(train, test):
            shown = self.train.shown[:, own], self.test.shown[:, own]
            chosen[own], held[own] = score_concepts(x, shown[0], held_x, shown[1])
        return chosen, held

    def _read_linearly(self, train: Sequence, test: Sequence, seed: int) -> list[float]:
        best = [0.0] * len(self.concepts)
        sides = ([pool[0][seed] for pool in half] for half in (train, test))
        for own, x, held_x in self._by_pool(*sides):
            shown = self.train.shown[:, own], self.test.shown[:, own]
            said, held_said = fit_linearly(x, shown[0], held_x)
            for number, concept in enumerate(own):
                only = slice(number, number + 1)
                _, held = score_concepts(
                    said[:, only], shown[0][:, only], held_said[:, only], shown[1][:, only]
                )
                best[concept] = round(float(held), 5)
        return best


def score_concepts(
    x: Float[Tensor, "train readings"],
    shown: Bool[Tensor, "train concepts"],
    held_x: Float[Tensor, "test readings"],
    held_shown: Bool[Tensor, "test concepts"],
) -> tuple[Float[Tensor, "concepts readings"], Float[Tensor, "concepts readings"]]:
    """The highest F1 of every reading for every concept on texts, and its F1 at that threshold on others."""
    chosen, thresholds = best_thresholds(x, shown)
    rows = []
    for threshold, truth in zip(thresholds, held_shown.T, strict=True):
        said = held_x > threshold
        rows.append(2 * (said & truth[:, None]).sum(0) / (said.sum(0) + truth.sum()))
    return chosen, torch.stack(rows)


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


def _of_best(chosen: Tensor, held: Tensor) -> list[float]:
    """Of each concept the held-out F1 of the reading that was chosen."""
    return [round(float(f1), 5) for f1 in held.gather(1, chosen.argmax(1, keepdim=True))[:, 0]]


def _read_half(
    model: Model, text: TokenText, half: Sequence[LabelledText], concepts: Sequence[Concept], context: int
) -> ConceptHalf:
    words = [token.strip() for token in vocabulary(model.tokenizer, model.engine.vocab_size)]
    pools = list_pools(concepts)
    ids = torch.zeros(len(half), context, dtype=torch.long)
    meant = torch.zeros(len(pools), len(half), context, dtype=torch.bool)
    for place, one in enumerate(half):
        ids[place, : len(one.row)] = text.encode(one.row.ids)
        for number, (where, at) in enumerate(pools):
            counts = torch.from_numpy(row_mask(where, one.row))
            if at:  # the last of them that reads so
                there = [n for n, token in enumerate(one.row.ids) if counts[n] and words[token] == at]
                counts = torch.zeros_like(counts)
                counts[there[-1:]] = True
            meant[number, place, : len(counts)] = counts
    shown = torch.tensor([[concept.name in one.concepts for concept in concepts] for one in half])
    return ConceptHalf(ids, tuple(meant), shown)


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


def _pool_tokens(half: ConceptHalf, size: int) -> list[Tensor]:
    """For each pool which tokens are there, `[texts, vocabulary]`."""
    tables = []
    for meant in half.meant:
        table = torch.zeros(len(half.ids), size)
        tables.append(table.scatter_reduce(1, half.ids, meant.float(), "amax"))
    return tables
