"""Whether a dictionary has a latent for a name, and how that hangs on how often the name is met.

A latent is a name's if its highest activation over a text tells whether the text shows the name: the one with
the highest F1 on one half of the texts is taken, with its threshold, and tested on the other half.

Over names i and dictionaries of n alive latents,

    P(has) = 1 / (1 + exp(-(a + b log f_i + c log n)))

is fitted by maximum likelihood with a slight ridge. The threshold is where P is a half:
log f = -(a + c log n) / b. It falls as n^(-c / b); the paper's is slightly under 1 / n.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries import Dictionary
from mindscope.features import SparseCode
from mindscope.probes import best_single_features
from mindscope.studies.common import active_latents, randomise
from mindscope.studies.scaling.names import NameTexts, TextActivations
from mindscope.studies.scaling.results import NameSeed, SizePresence

RIDGE = 100.0
"""The inverse strength of the ridge on standardised predictors: it only bounds fits where no name is on the
wrong side."""
DRAWS = 200
"""Orders that frequencies are dealt in, for the null."""


def measure_names(texts: NameTexts, dictionaries: Sequence[Dictionary], seed: int) -> NameSeed:
    """Which names dictionaries have latents for, beside random directions and tokens."""
    shown = [half.shown(texts.names) for half in (texts.train, texts.test)]

    def best(tables: Sequence[Tensor]) -> tuple[float, ...]:
        singles = best_single_features(tables[0], shown[0], tables[1], shown[1])
        return tuple(round(single.f1, 5) for single in singles)

    sizes = []
    for dictionary in dictionaries:
        code = dictionary.encode(texts.pool.held)
        random = replace(
            randomise(dictionary, seed), k=max(1, round(len(code.indices) / len(texts.pool.held)))
        )
        sizes.append(
            SizePresence(
                latents=dictionary.n_latents,
                alive=int(active_latents(code).sum()),
                f1=best(pool_halves(texts, dictionary)),
                random=best(pool_halves(texts, random)),
            )
        )
    return NameSeed(
        names=texts.names,
        frequencies=tuple(float(f"{share:.6g}") for share in texts.frequencies),
        sizes=tuple(sizes),
        tokens=best([_tokens(half, texts) for half in (texts.train, texts.test)]),
    )


def pool_halves(texts: NameTexts, dictionary: Dictionary) -> list[Float[Tensor, "texts latents"]]:
    """For both halves the highest activation of each latent over each text."""
    return [pool_texts(half, dictionary.encode(half.x)) for half in (texts.train, texts.test)]


def pool_texts(texts: TextActivations, code: SparseCode) -> Float[Tensor, "texts latents"]:
    """The highest activation of each latent over each text, 0 where it is silent."""
    table = torch.zeros(len(texts.rows), code.n_latents)
    places = texts.owner[code.tokens] * code.n_latents + code.indices
    table.view(-1).scatter_reduce_(0, places, code.values.detach().float(), "amax")
    return table


def _tokens(half: TextActivations, texts: NameTexts) -> Float[Tensor, "texts vocabulary"]:
    size = 1 + max(int(half.ids.max()) for half in (texts.train, texts.test))
    table = torch.zeros(len(half.rows), size)
    table[half.owner, half.ids] = 1.0
    return table


@dataclass(frozen=True)
class PresenceFit:
    """The fit above, with natural logarithms.

    Attributes:
        start: a.
        frequency: b.
        alive: c; 0 where a single dictionary is fitted.
    """

    start: float
    frequency: float
    alive: float

    @classmethod
    def of(
        cls, has: Sequence[bool], frequencies: Sequence[float], alive: Sequence[int]
    ) -> "PresenceFit | None":
        """Of one line for each name and dictionary; None where all have or none has, or nothing varies."""
        if len({*has}) < 2 or len({*frequencies}) < 2:
            return None
        from sklearn.linear_model import LogisticRegression

        logs = np.log(np.column_stack([frequencies, alive]))
        mean, spread = logs.mean(0), logs.std(0)
        varies = spread > 0
        inputs = (logs[:, varies] - mean[varies]) / spread[varies]
        model = LogisticRegression(C=RIDGE, max_iter=1000).fit(inputs, np.array(has))
        slopes = np.zeros(2)
        slopes[varies] = model.coef_[0] / spread[varies]
        return cls(float(model.intercept_[0] - (slopes * mean).sum()), float(slopes[0]), float(slopes[1]))

    @property
    def exponent(self) -> float | None:
        """Of the threshold over alive latents, -c / b; None where frequency does not matter."""
        return -self.alive / self.frequency if self.frequency > 0 else None

    def threshold(self, alive: int) -> float | None:
        """The frequency at which half of the names have a latent; None where frequency does not matter."""
        if self.frequency <= 0:
            return None
        return math.exp(min(50.0, max(-50.0, -(self.start + self.alive * math.log(alive)) / self.frequency)))

    def chance(self, frequency: float, alive: int) -> float:
        """That a name of this frequency has a latent."""
        score = self.start + self.frequency * math.log(frequency) + self.alive * math.log(alive)
        return 1 / (1 + math.exp(-min(50.0, max(-50.0, score))))


def fit_presence(
    seed: NameSeed, bar: float, sizes: Sequence[SizePresence], order: Sequence[int] | None = None
) -> PresenceFit | None:
    """The fit over some dictionaries; names have each other's frequencies if an order is given."""
    # A name that chance left undrawn counts as drawn half as often as the rarest that was drawn.
    least = min(share for share in seed.frequencies if share > 0) / 2
    shares = [share or least for share in seed.frequencies]
    shares = shares if order is None else [shares[number] for number in order]
    has = [f1 >= bar for size in sizes for f1 in size.f1]
    return PresenceFit.of(has, shares * len(sizes), [size.alive for size in sizes for _ in shares])


def shuffled_slopes(seed: NameSeed, bar: float) -> list[float]:
    """The b of fits where frequencies are dealt anew."""
    generator = np.random.default_rng(0)
    fits = [
        fit_presence(seed, bar, seed.sizes, [int(n) for n in generator.permutation(len(seed.names))])
        for _ in range(DRAWS)
    ]
    return [fit.frequency for fit in fits if fit is not None]
