"""Features pooled over the tokens of texts: what classifiers and concept tables work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.features import FeatureBank, OutlierLimits, Site, read_activations, require_models
from mindscope.models import Model, Raw, Read, Row, Where, check_where, row_mask, vocabulary

Pool = tuple[Where, str]
"""The tokens meant, and what the last of them that counts reads like; all of them count if it is empty."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class PooledFeatures:
    """Features pooled over the tokens of texts.

    Attributes:
        tables: by pool `[rows, features]`, the highest activation of every feature, 0 where there was none.
        outliers: how many tokens did not count because of their very large activations.
        limits: which these are.
    """

    tables: Mapping[Pool, Float[Tensor, "rows features"]]
    outliers: int
    limits: OutlierLimits

    def __getitem__(self, pool: Pool) -> Float[Tensor, "rows features"]:
        return self.tables[pool]


def pooled_features(
    model: Model,
    features: FeatureBank,
    rows: Sequence[Row],
    pools: Sequence[Pool] = (("all", ""),),
    *,
    limits: OutlierLimits | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> PooledFeatures:
    """The highest activation of every feature over each of the pools, 0 where it has no such token.

    Args:
        model: that of the features.
        features: the features.
        rows: the texts.
        pools: the tokens that are pooled over.
        limits: how long ordinary tokens are: attention sinks and massive activations do not count. Measured
            on the first rows if left out; `OutlierLimits({})` counts all tokens.
        progress: called with (rows done, rows).

    Raises:
        DataError: features of another model.
        ModelError: unknown tokens, or rows the model cannot take.
    """
    (pooled,) = pooled_features_of(model, [features], rows, pools, limits=limits, progress=progress)
    return pooled


def pooled_features_of(
    model: Model,
    banks: Sequence[FeatureBank],
    rows: Sequence[Row],
    pools: Sequence[Pool] = (("all", ""),),
    *,
    limits: OutlierLimits | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[PooledFeatures]:
    """The same of several banks, whose texts pass through the model once. See `pooled_features`."""
    for bank in banks:
        require_models(bank, model)
    for where, _ in pools:
        check_where(where)
    texts = np.array([token.strip() for token in vocabulary(model.tokenizer, model.engine.vocab_size)])
    sites = tuple(dict.fromkeys(site for bank in banks for site in bank.reads))
    models = {name: fingerprint for bank in banks for name, fingerprint in bank.models.items()}
    tables = [{pool: torch.zeros(len(rows), bank.n_features) for pool in pools} for bank in banks]
    measured: list[OutlierLimits | None] = [limits for _ in banks]
    outliers = [0 for _ in banks]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        read = read_activations(sites, models, model, chunk)
        parts = dict(zip(sites, read.split([site.width for site in sites], 1), strict=True))
        owner = torch.arange(len(chunk)).repeat_interleave(torch.tensor([len(row) for row in chunk]))
        counted = {
            pool: torch.from_numpy(np.concatenate([_meant(row, pool, texts) for row in chunk]))
            for pool in pools
        }
        for number, bank in enumerate(banks):
            own = read if bank.reads == sites else torch.cat([parts[site] for site in bank.reads], 1)
            least = measured[number] = measured[number] or OutlierLimits.measured(own, bank.reads)
            ordinary = least.ordinary(own, bank.reads)
            outliers[number] += int((~ordinary).sum())
            code = bank.encode(own)
            tokens, latents = code.tokens.cpu(), code.indices.cpu()
            values = code.values.detach().float().cpu()
            for pool, table in tables[number].items():
                inside = (counted[pool] & ordinary)[tokens]
                place = (owner[tokens] * bank.n_features + latents)[inside]
                flat = table[start : start + len(chunk)].view(-1)
                flat.scatter_reduce_(0, place, values[inside], "amax", include_self=not bank.signed)
        if progress is not None:
            progress(start + len(chunk), len(rows))
    return [
        PooledFeatures(table, n, least or OutlierLimits({}))
        for table, n, least in zip(tables, outliers, measured, strict=True)
    ]


def pooled_tokens(
    model: Model, rows: Sequence[Row], pools: Sequence[Pool] = (("all", ""),)
) -> dict[Pool, Float[Tensor, "rows vocabulary"]]:
    """Which tokens are present in each of the pools, 1 or 0: what a feature must know more than."""
    texts = np.array([token.strip() for token in vocabulary(model.tokenizer, model.engine.vocab_size)])
    tables = {pool: torch.zeros(len(rows), model.engine.vocab_size) for pool in pools}
    for pool, table in tables.items():
        for index, row in enumerate(rows):
            ids = np.array(row.ids, np.int64)[_meant(row, pool, texts)]
            table[index, torch.from_numpy(ids)] = 1.0
    return tables


def pooled_channels(
    model: Model, address: str, rows: Sequence[Row], pools: Sequence[Pool] = (("all", ""),)
) -> dict[Pool, Float[Tensor, "rows channels"]]:
    """The highest value of every channel at an address over each of the pools, and behind these of their
    negatives: neurons speak with either sign. 0 where no token is meant or none is positive.
    """
    texts = np.array([token.strip() for token in vocabulary(model.tokenizer, model.engine.vocab_size)])
    width = model.width(model.place(address))
    tables = {pool: torch.zeros(len(rows), 2 * width) for pool in pools}
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        values = model.read(chunk, {"channels": Read(address, Raw("all"))})["channels"].values
        for pool, table in tables.items():
            for index, (row, own) in enumerate(zip(chunk, values, strict=True), start):
                tokens = own[torch.from_numpy(_meant(row, pool, texts))].float()
                if len(tokens):
                    highest = torch.cat([tokens.amax(0), (-tokens).amax(0)])
                    table[index] = highest.clamp(min=0).cpu()
    return tables


def pooled_activations(
    model: Model, site: Site, rows: Sequence[Row], limits: OutlierLimits, where: Where = "all"
) -> dict[str, Float[Tensor, "rows width"]]:
    """Raw activations pooled over tokens, their mean and their maximum: what features are compared with.

    Outliers do not count, as with the features. A row without such a token has zeros.
    """
    tokens = model.read(rows, {"tokens": Read(site.address, Raw(where))})["tokens"].values
    kept = [part[limits.ordinary(part, [site])] for part in tokens]
    nothing = torch.zeros(site.width)
    return {
        "mean": torch.stack([part.mean(0) if len(part) else nothing for part in kept]),
        "max": torch.stack([part.max(0).values if len(part) else nothing for part in kept]),
    }


def _meant(row: Row, pool: Pool, texts: np.ndarray) -> np.ndarray:
    where, text = pool
    meant = row_mask(where, row)
    if text:
        places = np.flatnonzero(meant & (texts[np.array(row.ids, np.int64)] == text))
        meant = np.zeros_like(meant)
        meant[places[-1:]] = True
    return meant
