"""Features pooled over the tokens of texts: what classifiers and concept tables work with."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.features import FeatureBank, encode_rows, require_models
from mindscope.models import Mean, Model, Raw, Read, Row, Where, check_where, position_mask, vocabulary

Pool = tuple[Where, str]
"""The tokens meant, and what the last of them that counts reads like; all of them count if it is empty."""
ROWS_AT_ONCE = 64


def pooled_features(
    model: Model,
    features: FeatureBank,
    rows: Sequence[Row],
    pools: Sequence[Pool] = (("all", ""),),
    *,
    progress: Callable[[int, int], object] | None = None,
) -> dict[Pool, Float[Tensor, "rows features"]]:
    """The highest activation of every feature over each of the pools, 0 where it has no such token.

    Raises:
        DataError: features of another model.
        ModelError: unknown tokens, or rows the model cannot take.
    """
    require_models(features, model)
    for where, _ in pools:
        check_where(where)
    texts = np.array([token.strip() for token in vocabulary(model.tokenizer, model.engine.vocab_size)])
    tables = {pool: torch.zeros(len(rows), features.n_features) for pool in pools}
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        code = encode_rows(features, model, chunk)
        owner = torch.arange(len(chunk)).repeat_interleave(torch.tensor([len(row) for row in chunk]))
        tokens, latents, values = code.tokens.cpu(), code.indices.cpu(), code.values.detach().float().cpu()
        for pool, table in tables.items():
            meant = torch.from_numpy(np.concatenate([_meant(row, pool, texts) for row in chunk]))
            inside = meant[tokens]
            place = (owner[tokens] * features.n_features + latents)[inside]
            flat = table[start : start + len(chunk)].view(-1)
            flat.scatter_reduce_(0, place, values[inside], "amax", include_self=not features.signed)
        if progress is not None:
            progress(start + len(chunk), len(rows))
    return tables


def pooled_activations(
    model: Model, address: str, rows: Sequence[Row], where: Where = "all"
) -> dict[str, Float[Tensor, "rows width"]]:
    """Raw activations pooled over tokens, their mean and their maximum: what features are compared with.

    A row without such a token has zeros.
    """
    reads = {"mean": Read(address, Mean(where)), "tokens": Read(address, Raw(where))}
    readings = model.read(rows, reads)
    mean, tokens = readings["mean"].values, readings["tokens"].values
    assert isinstance(mean, Tensor)
    highest = [part.max(0).values if len(part) else torch.zeros(mean.shape[1]) for part in tokens]
    return {"mean": mean.nan_to_num(), "max": torch.stack(highest)}


def _meant(row: Row, pool: Pool, texts: np.ndarray) -> np.ndarray:
    where, text = pool
    meant = position_mask(where, np.arange(len(row))[None], np.array([row.prompt_length]))[0]
    if text:
        places = np.flatnonzero(meant & (texts[np.array(row.ids, np.int64)] == text))
        meant = np.zeros_like(meant)
        meant[places[-1:]] = True
    return meant
