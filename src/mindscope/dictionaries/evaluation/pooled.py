"""Labelled texts as one vector each: the mean, or the last token, of activations and of latents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.rows import read_sites
from mindscope.errors import DataError
from mindscope.features import MeasuredTokens, OutlierLimits
from mindscope.models import Model, Row


@dataclass(frozen=True, slots=True, eq=False)
class PooledActivations:
    """One vector a text.

    Attributes:
        activations: `[texts, d_out]`, what stands where the dictionary writes.
        latents: `[texts, latents]`, sparse.
    """

    activations: np.ndarray
    latents: csr_matrix

    def take(self, chosen: np.ndarray) -> "PooledActivations":
        """These texts, in this order."""
        return PooledActivations(self.activations[chosen], self.latents[chosen])

    def without(self, latents: np.ndarray, decoder: np.ndarray) -> np.ndarray:
        """The activations less what these latents wrote: the reconstruction's error stays."""
        return self.activations - self.latents[:, latents] @ decoder[latents]


def pool(
    models: Mapping[str, Model],
    dictionary: Dictionary,
    rows: Sequence[Row],
    tokens: MeasuredTokens,
    limits: OutlierLimits,
    *,
    at_once: int = 64,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[PooledActivations, PooledActivations]:
    """The texts by the mean over their tokens that count and are within the limits, and by the last of these.

    Raises:
        DataError: a text has no token that counts.
    """
    halves: list[list[PooledActivations]] = [[], []]
    for start in range(0, len(rows), at_once):
        batch = rows[start : start + at_once]
        read, target = read_sites(models, dictionary, batch, tokens)
        for row, sides in enumerate(zip(read, target, strict=True)):
            ordinary = limits.ordinary(torch.cat(sides, dim=1), (*dictionary.reads, *dictionary.writes))
            read[row], target[row] = (side[ordinary] for side in sides)
        lengths = np.array([len(tokens_of) for tokens_of in read])
        if not lengths.all():
            raise DataError(f"text {start + int(lengths.argmin())} has no token that counts")
        code = dictionary.encode(torch.cat(read).to(dictionary.b_dec))
        rows_of = np.repeat(np.arange(len(batch)), lengths)
        last = np.cumsum(lengths) - 1
        token, latent = code.tokens.cpu().numpy(), code.indices.cpu().numpy()
        values = code.values.detach().float().cpu().numpy()
        shape = (len(batch), code.n_latents)
        mean = csr_matrix((values / lengths[rows_of[token]], (rows_of[token], latent)), shape)
        whole = csr_matrix((values, (token, latent)), (len(rows_of), code.n_latents))
        halves[0].append(PooledActivations(_stack([tokens_of.mean(0) for tokens_of in target]), mean))
        halves[1].append(PooledActivations(_stack([tokens_of[-1] for tokens_of in target]), whole[last]))
        if progress is not None:
            progress(start + len(batch), len(rows))
    mean, last = (
        PooledActivations(
            np.concatenate([part.activations for part in parts]),
            csr_matrix(vstack([part.latents for part in parts])),
        )
        for parts in halves
    )
    return mean, last


def _stack(vectors: Sequence[Tensor]) -> np.ndarray:
    return torch.stack(list(vectors)).float().cpu().numpy()
