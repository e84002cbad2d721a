"""Neurons and dictionaries of one transformer as views of the same activations.

A view reads MLP activations as numbers, each of which stands for a direction among the neurons; what a
direction does to the logits by the direct path is, but for the last norm's scale,

    logit weights = direction W_down W_unembed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.dictionaries import Dictionary
from mindscope.studies.common import TinyTransformers, TokenText, randomise, read_neurons, split_held
from mindscope.studies.monosemanticity.config import (
    NEURONS,
    RANDOM,
    SHUFFLED,
    MonosemanticityConfig,
    say_size,
)
from mindscope.studies.monosemanticity.paper import OFTEN
from mindscope.studies.monosemanticity.training import BARE, OWN, dictionary_name, fill_weights

Activations = Float[Tensor, "tokens neurons"]
TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class ReadingView:
    """One way to read a transformer's MLP.

    Attributes:
        name: what tables call it.
        model: the transformer, of one seed.
        encode: gives every feature on every token.
        directions: of the features, among the neurons.
        bias: what is reconstructed where no feature is active.
    """

    name: str
    model: TinyTransformers
    encode: Callable[[Activations], Float[Tensor, "tokens features"]]
    directions: Float[Tensor, "features neurons"]
    bias: Float[Tensor, "neurons"]

    def read(self, ids: Int[Tensor, "rows tokens"]) -> Float[Tensor, "rows tokens features"]:
        """Every feature on every token of rows."""
        neurons = read_neurons(self.model, ids).before[0]
        parts = [self.encode(part) for part in neurons.flatten(0, 1).split(TOKENS_AT_ONCE)]
        return torch.cat(parts).view(*ids.shape, -1)

    def logit_weights(self) -> Float[Tensor, "features vocabulary"]:
        """What each adds to the logits by the direct path; the median over the vocabulary is 0."""
        weights = self.directions @ self.model.layers[0]["down"][0] @ self.model.unembedding[0]
        return weights - weights.median(1, keepdim=True).values


@dataclass(frozen=True)
class SeedViews:
    """All views of one transformer, and held-out rows.

    Attributes:
        views: by name.
        read, test: rows to read rules from, and to test them on.
        vocabulary: how many ids there are.
    """

    views: Mapping[str, ReadingView]
    read: Int[Tensor, "rows tokens"]
    test: Int[Tensor, "rows tokens"]
    vocabulary: int

    @classmethod
    def of(
        cls,
        models: Mapping[str, TinyTransformers],
        dictionaries: Mapping[str, Dictionary],
        text: TokenText,
        config: MonosemanticityConfig,
        seed: int,
    ) -> "SeedViews":
        """Of the transformer that is number `seed` of its stack."""
        own, bare = (take_seed(models[kind], seed) for kind in (OWN, BARE))
        read, test = split_held(text, config.model.context, config.held_rows)
        views = [view_neurons(own)]
        for size in config.sizes:
            dictionary = dictionaries[dictionary_name(f"{OWN}{seed}", size)]
            views.append(view_dictionary(say_size(size), own, dictionary))
        for size in dict.fromkeys((config.focus, config.sizes[-1])):
            dictionary = dictionaries[dictionary_name(f"{OWN}{seed}", size)]
            active = float((views[1 + config.sizes.index(size)].read(read) > 0).sum(-1).float().mean())
            guess = replace(randomise(dictionary, seed), k=max(1, round(active)))
            views.append(view_dictionary(say_random(size), own, guess))
        other = dictionaries[dictionary_name(f"{BARE}{seed}", config.focus)]
        views.append(view_dictionary(SHUFFLED, bare, other))
        return cls({view.name: view for view in views}, read, test, text.vocabulary)


def find_often(
    read: Float[Tensor, "rows places features"], test: Float[Tensor, "rows places features"]
) -> Bool[Tensor, "features"]:
    """Which features are active in enough rows of both halves to be measured."""
    return torch.stack([(half > 0).any(1).sum(0) >= OFTEN for half in (read, test)]).all(0)


def say_random(size: int) -> str:
    """What a dictionary of random directions of a size is called."""
    return f"{RANDOM}, {size}x"


def take_seed(models: TinyTransformers, seed: int) -> TinyTransformers:
    """One model of a stack, as a stack of one."""
    alone = TinyTransformers(models.config.model_copy(update={"seeds": 1}), models.embedding.shape[1], 0)
    fill_weights(alone, [part[seed : seed + 1] for part in models.parameters()])
    return alone


def view_neurons(model: TinyTransformers) -> ReadingView:
    """The neurons themselves."""
    width = model.config.expansion * model.config.width
    return ReadingView(NEURONS, model, lambda x: x, torch.eye(width), torch.zeros(width))


def view_dictionary(name: str, model: TinyTransformers, dictionary: Dictionary) -> ReadingView:
    """The latents of a dictionary."""
    return ReadingView(
        name, model, lambda x: dictionary.encode(x).dense(), dictionary.coder.W_dec, dictionary.b_dec
    )
