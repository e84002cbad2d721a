"""Latents that fire on a thing's picture and on its word in three languages.

"Scaling Monosemanticity" (Templeton et al. 2024) shows features that are active on a concept in several
languages and in pictures. Here the things are known: an animal or a country is drawn, or named in English,
French or Chinese. A latent fires on a text if on a token of the prompt its activation is above a bar, a share
of its highest one. It stands for a thing in a mode if it fires on at least 80 % of the texts that show the
thing so, and on at most 5 % of those that show another thing of its kind so. Of every thing latent and bar
are chosen on one half of the texts, those with the largest difference of the two rates in the mode where it
is smallest; the share of things is of the other half.

Two things could make such latents up: choosing among many, and pictures that are alike. So the same is done
with the things' pictures exchanged among things of a kind (permutations without a fixed point), and with
random dictionaries of the same size and sparsity.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.errors import DataError
from mindscope.explain import LabelledText, Pool, pooled_features
from mindscope.models import Model
from mindscope.organism import MODES, drawn_things
from mindscope.stats import RateEstimate
from mindscope.studies.common import randomise
from mindscope.studies.organism_dictionaries.results import ModalityRates

LEAST_FIRING, MOST_ELSEWHERE = 0.8, 0.05
BARS = (0.0, 0.2, 0.4, 0.6)
"""Shares of a latent's highest activation beyond which it fires."""
FEWEST_TEXTS = 3
"""A thing is tried that each half shows so often in every mode."""
PERMUTATIONS = 20


@dataclass(frozen=True)
class FiringRates:
    """How often latents fire: of each mode and thing, on texts that show it so, and that show another so.

    A latent stands here once for each bar: those of the first bar, then those of the second.
    """

    shown: Float[Tensor, "modes things firing"]
    others: Float[Tensor, "modes things firing"]

    def exchanged(self, order: Sequence[int]) -> "FiringRates":
        """With the pictures of other things in the place of each thing's own."""
        shown, others = self.shown.clone(), self.others.clone()
        shown[0], others[0] = self.shown[0, list(order)], self.others[0, list(order)]
        return FiringRates(shown, others)

    def stands(self) -> Bool[Tensor, "modes things firing"]:
        """Whether a latent stands for a thing in a mode."""
        return (self.shown >= LEAST_FIRING) & (self.others <= MOST_ELSEWHERE)

    def choose(self, modes: slice) -> list[int]:
        """Of each thing the latent with the largest difference of rates, in the mode where it is smallest."""
        return (self.shown - self.others)[modes].amin(0).argmax(1).tolist()

    def hits(self, chosen: Sequence[int], modes: slice) -> list[bool]:
        """Whether the latent that was chosen for a thing stands for it in all these modes."""
        every = self.stands()[modes].all(0)
        return every[torch.arange(len(chosen)), list(chosen)].tolist()


EVERY, WORDS = slice(0, len(MODES)), slice(1, len(MODES))


def measure_modalities(
    model: Model, name: str, dictionary: Dictionary, halves: Sequence[Sequence[LabelledText]]
) -> ModalityRates:
    """The share of things that have one latent for picture and words in an SAE or a crosscoder.

    Args:
        model: the second organism.
        name: of the dictionary.
        dictionary: whose latents are looked at.
        halves: the texts to choose on, and those to measure on.

    Raises:
        DataError: no thing is shown often enough in every mode.
    """
    kinds = known_things(halves)
    things = [thing for kind in kinds for thing in kind]
    if not things:
        raise DataError("no thing is drawn and named often enough: read more texts (scale)")
    wanted = {f"thing: {thing}" for thing in things}
    halves = [[text for text in half if wanted & set(text.concepts)] for half in halves]
    own = _measure_halves(model, dictionary, halves, kinds)
    drawn = _measure_halves(model, randomise(dictionary, seed=0), halves, kinds)
    chosen = own[0].choose(EVERY)
    hits = own[1].hits(chosen, EVERY)
    null = [_exchanged_share(own, order) for order in _orders(kinds, PERMUTATIONS)]
    return ModalityRates(
        dictionary=name,
        things=len(things),
        everywhere=RateEstimate.of(hits, things),
        words=RateEstimate.of(own[1].hits(own[0].choose(WORDS), WORDS), things),
        exchanged=sum(null) / len(null),
        exchanged_highest=max(null),
        random=RateEstimate.of(drawn[1].hits(drawn[0].choose(EVERY), EVERY), things),
        found={thing: chosen[i] % dictionary.n_latents for i, thing in enumerate(things) if hits[i]},
    )


def known_things(halves: Sequence[Sequence[LabelledText]]) -> list[list[str]]:
    """Animals, then countries, that every half shows often enough in every mode."""
    return [
        [
            thing
            for thing in kind
            if all(len(_texts_of(half, thing, mode)) >= FEWEST_TEXTS for half in halves for mode in MODES)
        ]
        for kind in drawn_things()
    ]


def firing_rates(
    fires: Bool[Tensor, "texts firing"], texts: Sequence[LabelledText], kinds: Sequence[Sequence[str]]
) -> FiringRates:
    """How often there is firing on the texts that show a thing in a mode, and on those of its kind."""
    counted = fires.float()
    shown: list[list[Tensor]] = []
    others: list[list[Tensor]] = []
    for mode in MODES:
        shown.append([])
        others.append([])
        for kind in kinds:
            rows = [_texts_of(texts, thing, mode) for thing in kind]
            counts = torch.tensor([len(own) for own in rows])[:, None]
            sums = torch.stack([counted[own].sum(0) for own in rows]) if rows else counted[:0]
            shown[-1].append(sums / counts.clamp(min=1))
            rest = counts.sum() - counts
            others[-1].append((sums.sum(0) - sums) / rest.clamp(min=1))
    return FiringRates(
        torch.stack([torch.cat(parts) for parts in shown]),
        torch.stack([torch.cat(parts) for parts in others]),
    )


def _measure_halves(
    model: Model,
    dictionary: Dictionary,
    halves: Sequence[Sequence[LabelledText]],
    kinds: Sequence[Sequence[str]],
) -> list[FiringRates]:
    """Of each half, the bars being shares of the highest activations on the first."""
    bank = DictionaryBank(dictionary)
    pool: Pool = ("prompt", "")
    pooled = [pooled_features(model, bank, [text.row for text in half], (pool,))[pool] for half in halves]
    bars = [share * pooled[0].amax(0) for share in BARS]
    return [
        firing_rates(torch.cat([own > bar for bar in bars], dim=1), half, kinds)
        for own, half in zip(pooled, halves, strict=True)
    ]


def _texts_of(texts: Sequence[LabelledText], thing: str, mode: str) -> list[int]:
    wanted = {f"thing: {thing}", f"shown by: {mode}"}
    return [i for i, text in enumerate(texts) if wanted <= set(text.concepts)]


def _orders(kinds: Sequence[Sequence[str]], count: int) -> list[list[int]]:
    """Exchanges of things within their kinds that leave none at its place."""
    rng = random.Random("modalities")
    orders: list[list[int]] = []
    while len(orders) < count:
        order: list[int] = []
        for kind in kinds:
            turned = list(range(len(order), len(order) + len(kind)))
            rng.shuffle(turned)
            # One cycle through all of the kind: nobody keeps its own.
            following = dict(zip(turned, turned[1:] + turned[:1], strict=True))
            order += [following[place] for place in sorted(turned)]
        orders.append(order)
    return orders


def _exchanged_share(own: Sequence[FiringRates], order: Sequence[int]) -> float:
    chosen_on, tested_on = (rates.exchanged(order) for rates in own)
    hits = tested_on.hits(chosen_on.choose(EVERY), EVERY)
    return sum(hits) / max(1, len(hits))
