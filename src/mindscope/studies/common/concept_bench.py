"""Which known concepts single readings of a model stand for: neurons, features, tokens.

The organism's world says which concepts a text shows. A text is read by each neuron's or feature's highest
activation over the tokens where the concept is read; threshold and reading are chosen on one half of the
texts and tested on the other. The best single token is chosen and tested in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.explain import LabelledText, list_pools
from mindscope.jobs.feature import split_concept_texts
from mindscope.models import Model, row_mask, vocabulary
from mindscope.probes import Concept, best_thresholds
from mindscope.store import Document
from mindscope.studies.common.study_text import TokenText

LEAST_TEXTS = 5
"""A concept that fewer texts of a half show is not looked for."""
MOST_SHARE = 0.2
"""Nor one that a larger share of them shows: of these, whoever always says yes has an F1 near a half."""
TEXTS_AT_ONCE = 64

TextReadings = Float[Tensor, "texts readings"]
ReadTokens = Callable[[Tensor], Float[Tensor, "texts tokens readings"]]
"""Called with ids `[texts, tokens]`; answers with activations on every token."""


class ConceptTexts(Document):
    """The concepts that were looked for, and how far single tokens go."""

    concepts: tuple[str, ...]
    tokens: tuple[float, ...]
    """The F1 of the token that stands for each best."""
    rows: tuple[int, int]
    """Texts to choose on, and to test on."""
    too_long: int
    """Texts that do not fit into the models' context."""


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
        return ConceptTexts(
            concepts=tuple(concept.name for concept in self.concepts),
            tokens=tuple(best_f1s(*self.score_readings(*pooled))),
            rows=(len(self.train.ids), len(self.test.ids)),
            too_long=self.too_long,
        )

    def by_pool(
        self, train: Sequence[TextReadings], test: Sequence[TextReadings]
    ) -> list[tuple[list[int], TextReadings, TextReadings]]:
        """For each pool its concepts, by number, and both halves read over it."""
        return [
            ([concept for concept, own in enumerate(self.pools) if own == pool], train[pool], test[pool])
            for pool in dict.fromkeys(self.pools)
        ]

    def score_readings(
        self, train: Sequence[TextReadings], test: Sequence[TextReadings]
    ) -> tuple[Float[Tensor, "concepts readings"], Float[Tensor, "concepts readings"]]:
        """F1 of every reading for every concept: where chosen, and held out; halves are read pool by pool."""
        chosen = torch.zeros(len(self.concepts), train[0].shape[1])
        held = torch.zeros_like(chosen)
        for own, x, held_x in self.by_pool(train, test):
            shown = self.train.shown[:, own], self.test.shown[:, own]
            chosen[own], held[own] = score_concepts(x, shown[0], held_x, shown[1])
        return chosen, held


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


def best_f1s(
    chosen: Float[Tensor, "concepts readings"], held: Float[Tensor, "concepts readings"]
) -> list[float]:
    """Of each concept the held-out F1 of the reading that was chosen."""
    return [round(float(f1), 5) for f1 in held.gather(1, chosen.argmax(1, keepdim=True))[:, 0]]


@torch.no_grad()
def pool_texts(half: ConceptHalf, read: ReadTokens) -> list[TextReadings]:
    """For each pool every reading's highest activation; 0 where nothing is meant or nothing is above 0."""
    parts: list[list[Tensor]] = [[] for _ in half.meant]
    for start in range(0, len(half.ids), TEXTS_AT_ONCE):
        part = slice(start, start + TEXTS_AT_ONCE)
        values = read(half.ids[part]).clamp(min=0)
        for own, meant in zip(parts, half.meant, strict=True):
            # texts x tokens that are meant, one text behind the other
            lengths = meant[part].sum(1)
            own.append(torch.segment_reduce(values[meant[part]], "max", lengths=lengths, initial=0.0))
    return [torch.cat(own) for own in parts]


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


def _pool_tokens(half: ConceptHalf, size: int) -> list[Tensor]:
    """For each pool which tokens are there, `[texts, vocabulary]`."""
    tables = []
    for meant in half.meant:
        table = torch.zeros(len(half.ids), size)
        tables.append(table.scatter_reduce(1, half.ids, meant.float(), "amax"))
    return tables
