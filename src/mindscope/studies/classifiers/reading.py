"""Texts as vectors: features and raw activations of every token, pooled in three ways.

Attention sinks and massive activations do not count: they would be the maximum of any text.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.features import OutlierLimits, read_activations
from mindscope.models import Model
from mindscope.studies.classifiers.texts import LabelledTexts

POOLS = ("max", "windowed", "mean")
FEATURES, RAW, TOKENS = "features", "raw", "tokens"
INPUTS = (*(f"{kind}, {pool}" for kind in (FEATURES, RAW) for pool in POOLS), TOKENS)
ROWS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class ReadTexts:
    """Texts as classifiers see them.

    Attributes:
        tables: by input, `[rows, columns]`.
        truth: `[rows]`, which are harmful.
        tokens: of every row its ordinary tokens' raw activations, `[tokens, width]`.
    """

    tables: dict[str, Float[Tensor, "rows columns"]]
    truth: Bool[Tensor, "rows"]
    tokens: list[Float[Tensor, "tokens width"]]


class TextReader:
    """Reads texts at a dictionary's site; what is ordinary is measured on the first ones."""

    def __init__(self, model: Model, dictionary: Dictionary, window: int) -> None:
        self.model, self.dictionary, self.window = model, dictionary, window
        self._bank = DictionaryBank(dictionary)
        self._limits: OutlierLimits | None = None

    def read(self, texts: LabelledTexts) -> ReadTexts:
        """All inputs of all texts."""
        rows, truth = texts.rows(self.model)
        pooled: dict[str, list[Tensor]] = {name: [] for name in INPUTS}
        kept: list[Tensor] = []
        sites = self._bank.reads
        for start in range(0, len(rows), ROWS_AT_ONCE):
            chunk = rows[start : start + ROWS_AT_ONCE]
            activations = read_activations(sites, self._bank.models, self.model, chunk)
            self._limits = self._limits or OutlierLimits.measured(activations, sites)
            ordinary = self._limits.ordinary(activations, sites)
            lengths = [len(row) for row in chunk]
            for row, values, counts in zip(
                chunk, activations.float().split(lengths), ordinary.split(lengths), strict=True
            ):
                values = values[counts]
                kept.append(values)
                parts = {FEATURES: self._bank.encode(values).dense(), RAW: values}
                for kind, part in parts.items():
                    for pool in POOLS:
                        pooled[f"{kind}, {pool}"].append(pool_tokens(part, pool, self.window))
                present = torch.zeros(self.model.engine.vocab_size)
                present[torch.tensor(row.ids)] = 1.0
                pooled[TOKENS].append(present)
        tables = {name: torch.stack(vectors) for name, vectors in pooled.items()}
        return ReadTexts(tables, torch.tensor(truth), kept)


def pool_tokens(values: Float[Tensor, "tokens columns"], pool: str, window: int) -> Float[Tensor, "columns"]:
    """Over tokens: the mean, the maximum, or the highest mean of so many tokens in a row.

    A text that is shorter than the window has one mean, of all its tokens.
    """
    if pool == "mean":
        return values.mean(0)
    if pool == "max":
        return values.amax(0)
    return rolling_means(values, window).amax(0)


def rolling_means(values: Float[Tensor, "tokens columns"], window: int) -> Float[Tensor, "windows columns"]:
    """The mean of every `window` tokens in a row."""
    if len(values) <= window:
        return values.mean(0, keepdim=True)
    return values.unfold(0, window, 1).mean(-1)
