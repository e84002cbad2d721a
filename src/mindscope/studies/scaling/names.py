"""Texts of the world with some names, each drawn as often as chance has it.

1. Of the countries and states that enough texts of both halves show, some are followed. Texts that show
   others are left out.
2. Each followed name gets a weight, evenly spread in its logarithm and dealt at random: how often a name is
   met in training has nothing to do with what it is, or with how well the model knows it.
3. A text counts by the rarest of its names; texts without any have a fixed share of all tokens.
4. Activations of all texts are read once. Training draws tokens by these weights, so that a name's frequency
   is the sum of the shares of its tokens, and nothing is read twice.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.errors import DataError
from mindscope.explain import LabelledText
from mindscope.features import OutlierLimits, Site, read_activations
from mindscope.jobs.feature import split_concept_texts
from mindscope.models import Model, Row
from mindscope.store import Run
from mindscope.studies.common import TokenPool, draw_shares
from mindscope.studies.scaling.config import ScalingConfig

GROUPS = ("country", "state")
"""Kinds of names that are followed: single tokens, about which the model knows several facts each."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class TextActivations:
    """Texts, and the activations of all their tokens.

    Attributes:
        rows: the texts.
        concepts: what each shows.
        x: activations of all tokens, text by text.
        owner: the number of the text that each token is of.
        ids: of the tokens.
        shares: how often each token is drawn.
    """

    rows: Sequence[Row]
    concepts: Sequence[frozenset[str]]
    x: Float[Tensor, "tokens width"]
    owner: Int[Tensor, "tokens"]
    ids: Int[Tensor, "tokens"]
    shares: Float[Tensor, "tokens"]

    def shown(self, names: Sequence[str]) -> Bool[Tensor, "texts names"]:
        """Which texts show what."""
        return torch.tensor([[name in shown for name in names] for shown in self.concepts])


@dataclass(frozen=True)
class NameTexts:
    """Both halves, and what is trained on.

    Attributes:
        names: that are followed.
        frequencies: of each, as a share of the tokens that are trained on.
        train: to train on, and to choose latents on.
        test: to test them on.
        pool: draws tokens by their shares; what is held out are tokens of `test`, drawn in the same way.
    """

    names: tuple[str, ...]
    frequencies: tuple[float, ...]
    train: TextActivations
    test: TextActivations
    pool: TokenPool

    @classmethod
    def draw(cls, model: Model, run: Run, address: str, config: ScalingConfig, seed: int) -> "NameTexts":
        """Those of a seed; activations are kept in the run.

        Raises:
            DataError: too few names are in enough texts.
        """
        halves = split_concept_texts(model, scale=config.texts, seed=seed)
        weights = draw_weights(halves, config, seed)
        kept = [keep_texts(half, weights, config.nameless, seed) for half in halves]
        site = Site(address, model.width(model.place(address)))
        file = f"activations/{seed}.safetensors"
        if not run.has(file):
            read = [read_rows(model, site, [text.row for text in texts]) for texts in kept]
            run.save_tensors(file, dict(zip(("train", "test"), read, strict=True)))
        x = run.load_tensors(file)
        train, test = (
            share_tokens(texts, own, site, weights, config.nameless)
            for texts, own in zip(kept, (x["train"], x["test"]), strict=True)
        )
        held = draw_shares(test.shares, config.held_tokens, torch.Generator().manual_seed(seed))
        pool = TokenPool(
            train.x,
            test.x[held],
            (site,),
            (address,),
            {site.model: model.fingerprint},
            test.ids[held],
            train.shares,
        )
        names = tuple(weights)
        return cls(names, count_names(model, names, train), train, test, pool)


def draw_weights(
    halves: Sequence[Sequence[LabelledText]], config: ScalingConfig, seed: int
) -> dict[str, float]:
    """The followed names with their weights, from 1 down to 10 to the minus `decades`.

    Raises:
        DataError: too few names are in enough texts.
    """
    from mindscope.organism import world_concepts

    known = [concept.name for concept in world_concepts() if concept.group in GROUPS]
    often = [name for name in known if all(_count(half, name) >= config.least_texts for half in halves)]
    if len(often) < config.names:
        raise DataError(f"{len(often)} names are in enough texts, {config.names} are needed: give more texts")
    names = random.Random(f"scaling-{seed}").sample(often, config.names)
    return {name: 10 ** (-config.decades * rank / (len(names) - 1)) for rank, name in enumerate(names)}


def keep_texts(
    half: Sequence[LabelledText], weights: Mapping[str, float], nameless: float, seed: int
) -> list[LabelledText]:
    """Texts of followed names alone, and as large a part of those without names as they are drawn."""
    named = [text for text in half if (own := names_of(text.concepts)) and own <= weights.keys()]
    without = [text for text in half if not names_of(text.concepts)]
    count = min(len(without), round(len(named) * nameless / (1 - nameless)))
    return named + random.Random(f"nameless-{seed}").sample(without, count)


def names_of(concepts: Collection[str]) -> set[str]:
    """Names of the followed kinds among concepts."""
    return {name for name in concepts if name.split(": ", 1)[0] in GROUPS}


def read_rows(model: Model, site: Site, rows: Sequence[Row]) -> Float[Tensor, "tokens width"]:
    """Activations of all tokens, row by row."""
    models = {site.model: model.fingerprint}
    parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return torch.cat([read_activations((site,), models, model, part) for part in parts])


def share_tokens(
    texts: Sequence[LabelledText],
    x: Float[Tensor, "tokens width"],
    site: Site,
    weights: Mapping[str, float],
    nameless: float,
) -> TextActivations:
    """Texts with how often each token is drawn; outliers never are."""
    rows = [text.row for text in texts]
    owner = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(row) for row in rows]))
    own = [names_of(text.concepts) for text in texts]
    named = torch.tensor([min((weights[name] for name in names), default=0.0) for names in own])[owner]
    without = torch.tensor([not names for names in own]).float()[owner]
    ordinary = OutlierLimits.measured(x, (site,)).ordinary(x, (site,)).float()
    shares = ordinary * (
        (1 - nameless) * named / named.sum().clamp(min=1e-30)
        + nameless * without / without.sum().clamp(min=1)
    )
    ids = torch.tensor([token for row in rows for token in row.ids])
    return TextActivations(
        rows, [frozenset(text.concepts) for text in texts], x, owner, ids, shares / shares.sum()
    )


def count_names(model: Model, names: Sequence[str], texts: TextActivations) -> tuple[float, ...]:
    """How often each name is drawn, as a share of all tokens."""
    words = [name.split(": ", 1)[1] for name in names]
    tokens = model.tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    return tuple(float(texts.shares[texts.ids == own[-1]].sum()) for own in tokens)


def concept_groups() -> dict[str, str]:
    """The kind of each of the world's concepts, by its name."""
    from mindscope.organism import world_concepts

    return {concept.name: concept.group for concept in world_concepts()}


def _count(half: Sequence[LabelledText], name: str) -> int:
    return sum(name in text.concepts for text in half)
