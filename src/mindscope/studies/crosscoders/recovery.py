"""Which known concepts single latents stand for, beyond the best token.

Texts of the organism's world are read once; all coders encode the same activations. For each concept the
latent whose highest activation over the text tells it best is chosen on one half and tested on the other
(`explain.table_of_pools`). The best single token is chosen and tested in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.core import digest_text
from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import (
    ConceptTable,
    LabelledText,
    list_pools,
    pooled_features,
    pooled_tokens,
    table_of_pools,
)
from mindscope.explain.concepts import FOUND
from mindscope.features import Site, SparseCode, join_fingerprints
from mindscope.jobs.feature import split_concept_texts
from mindscope.models import Model
from mindscope.probes import Concept
from mindscope.studies.crosscoders.results import ConceptScores

LEAST_TEXTS = 5
"""A concept that fewer texts of a half show is not looked for."""


@dataclass(frozen=True, eq=False)
class CoderBank:
    """Several coders of one model as a bank of features: the latents of one behind those of another.

    Attributes:
        coders: each reads some of the sites.
        reads: all sites, side by side.
        models: the model's fingerprint by its name.
    """

    coders: tuple[Dictionary, ...]
    reads: tuple[Site, ...]
    models: Mapping[str, str]
    signed = False

    @property
    def n_features(self) -> int:
        return sum(coder.n_latents for coder in self.coders)

    @property
    def writes(self) -> tuple[Site, ...]:
        return self.reads

    @property
    def fingerprint(self) -> str:
        return join_fingerprints(self.models.values())

    def name(self, feature: int) -> str:
        return f"latent {feature}"

    def digest(self) -> str:
        return digest_text(" ".join(coder.digest() for coder in self.coders))

    def values(
        self, activations: Float[Tensor, "tokens width"], features: Sequence[int]
    ) -> Float[Tensor, "tokens k"]:
        """Some latents on every token."""
        return self.encode(activations).columns(torch.tensor(list(features)))

    def decoder_rows(self, features: Sequence[int] | None = None) -> dict[Site, Float[Tensor, "k _"]]:
        """See `FeatureBank.decoder_rows`."""
        chosen = torch.arange(self.n_features) if features is None else torch.tensor(list(features))
        parts = [DictionaryBank(coder).decoder_rows() for coder in self.coders]
        counts = [coder.n_latents for coder in self.coders]
        return {
            site: torch.cat(
                [part.get(site, torch.zeros(n, site.width)) for part, n in zip(parts, counts, strict=True)]
            )[chosen]
            for site in self.reads
        }

    def encode(self, activations: Float[Tensor, "tokens width"]) -> SparseCode:
        """Which latents are active on each token."""
        parts = dict(zip(self.reads, activations.split([site.width for site in self.reads], 1), strict=True))
        return SparseCode.joined(
            [coder.encode(torch.cat([parts[site] for site in coder.reads], dim=1)) for coder in self.coders]
        )


@dataclass(frozen=True)
class ConceptHalves:
    """Texts of both halves, and the concepts that enough of them show."""

    concepts: tuple[Concept, ...]
    train: Sequence[LabelledText]
    test: Sequence[LabelledText]

    @classmethod
    def draw(cls, model: Model, scale: float, seed: int) -> "ConceptHalves":
        """The world's texts; `scale` is of some four thousand."""
        from mindscope.organism import world_concepts

        halves = split_concept_texts(model, scale=scale, seed=seed)
        concepts = [
            concept
            for concept in world_concepts()
            if all(sum(concept.name in text.concepts for text in half) >= LEAST_TEXTS for half in halves)
        ]
        return cls(tuple(concepts), *halves)

    def measure_tokens(self, model: Model) -> ConceptTable:
        """The best single token of each concept."""
        pools = list_pools(self.concepts)
        halves = [
            pooled_tokens(model, [text.row for text in half], pools) for half in (self.train, self.test)
        ]
        return table_of_pools(self.concepts, self.train, self.test, *halves)

    def measure_coders(
        self, model: Model, coders: Mapping[str, Sequence[Dictionary]], sites: Sequence[Site]
    ) -> dict[str, ConceptTable]:
        """By name the best latent of each concept, out of all coders of that name."""
        every = tuple(coder for group in coders.values() for coder in group)
        bank = CoderBank(every, tuple(sites), {site.model: model.fingerprint for site in sites})
        pools = list_pools(self.concepts)
        chosen, tested = (
            pooled_features(model, bank, [text.row for text in half], pools)
            for half in (self.train, self.test)
        )
        tables, start = {}, 0
        for name, group in coders.items():
            stop = start + sum(coder.n_latents for coder in group)
            own = [{pool: half[pool][:, start:stop] for pool in pools} for half in (chosen, tested)]
            tables[name] = table_of_pools(self.concepts, self.train, self.test, *own)
            start = stop
        return tables


def score_concepts(table: ConceptTable, tokens: ConceptTable) -> ConceptScores:
    """What latents of a coder stand for, beside tokens."""
    pairs = [(single.f1, tokens.best[name].f1) for name, single in table.best.items()]
    return ConceptScores(
        f1=round(sum(own for own, _ in pairs) / len(pairs), 5),
        beyond=round(sum(own - token for own, token in pairs) / len(pairs), 5),
        found=round(sum(own >= FOUND and own > token for own, token in pairs) / len(pairs), 5),
    )
