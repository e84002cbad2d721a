"""Texts as vectors: TF-IDF of character n-grams, or what a sentence encoder says."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor

NGRAMS = (2, 5)
COLUMNS = 2**18


@runtime_checkable
class TextEmbedder(Protocol):
    """Turns texts into vectors of length 1."""

    name: str

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "texts width"]:
        """One vector for each text."""
        ...


class TextVectors:
    """Makes vectors of length 1 out of texts.

    N-grams of 2 to 5 characters within words are hashed into 2^18 columns, so that no vocabulary has to be
    kept. Their counts count by 1 + log, times log((1 + n) / (1 + texts with it)) + 1.

    Attributes:
        encoder: that makes the vectors; None for n-grams.
        inverse_frequency: `[columns]`, of the n-grams; None with an encoder.
    """

    def __init__(
        self, encoder: TextEmbedder | None, inverse_frequency: Float[Tensor, "columns"] | None
    ) -> None:
        self.encoder, self.inverse_frequency = encoder, inverse_frequency

    @classmethod
    def fit(cls, texts: Sequence[str], encoder: TextEmbedder | None = None) -> "TextVectors":
        """Count in how many of the texts each n-gram stands."""
        if encoder is not None:
            return cls(encoder, None)
        with_it = np.bincount(_ngram_counts(texts).indices, minlength=COLUMNS)
        frequency = np.log((1 + len(texts)) / (1 + with_it)) + 1
        return cls(None, torch.from_numpy(frequency.astype(np.float32)))

    def matrix(self, texts: Sequence[str]) -> Any:
        """`[texts, columns]`: sparse of n-grams, dense of an encoder."""
        if self.encoder is not None:
            return self.encoder.encode(texts).double().numpy()
        assert self.inverse_frequency is not None
        counts = _ngram_counts(texts)
        values = (1 + np.log(counts.data)) * self.inverse_frequency.numpy()[counts.indices]
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        lengths = np.sqrt(np.bincount(rows, values**2, minlength=counts.shape[0]))
        counts.data = values / lengths[rows]
        return counts


def _ngram_counts(texts: Sequence[str]) -> Any:
    """`[texts, columns]` in rows (scipy's CSR), how often each hashed n-gram stands in each text."""
    options: dict[str, Any] = {"alternate_sign": False, "norm": None}
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=NGRAMS, n_features=COLUMNS, **options)
    return hashing.transform(texts)
