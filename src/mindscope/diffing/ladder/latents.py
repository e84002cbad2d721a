"""Latents of a dictionary of the base model that are active on more or fewer tokens in the tuned model.

Both models read the same rows, so that a latent's rate differs for no other reason than the weights. Per row
it is the share of the answer's tokens on which the latent is active; rows are the units. Each latent has an
exact sign test over the rows, two-sided, and the list is cut by Benjamini and Hochberg's procedure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from mindscope.core import Progress
from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.diffing.config import DiffConfig
from mindscope.diffing.estimates import estimate
from mindscope.diffing.results import DictionaryChange, LatentChange
from mindscope.errors import DataError
from mindscope.explain import feature_logits
from mindscope.models import Model, Raw, Read, Row
from mindscope.stats import adjust_p_values, sign_test

LEAST_ROWS = 0.03
"""Latents that are active in a smaller share of the rows of both models are not tested."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class LatentRates:
    """For each row and latent the share of the answer's tokens on which it is active, and its mean there."""

    active: Float64[np.ndarray, "rows latents"]
    mean: Float64[np.ndarray, "latents"]
    """The mean activation over all tokens, zeros included."""


def measure_rates(
    model: Model, bank: DictionaryBank, rows: Sequence[Row], progress: Progress | None = None
) -> LatentRates:
    """How often each latent is active on the answers of rows in one model, the dictionary's own or another.

    Raises:
        DataError: the dictionary reads sites of several models.
    """
    if len({site.model for site in bank.reads}) > 1:
        raise DataError("this dictionary reads two models: give an SAE or transcoders of the base model")
    active = np.zeros((len(rows), bank.n_features))
    total, n_tokens = torch.zeros(bank.n_features, dtype=torch.float64), 0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        reads = {site.address: Read(site.address, Raw("answer")) for site in bank.reads}
        readings = model.read(part, reads)
        columns: list[Tensor] = []
        for site in bank.reads:
            values = readings[site.address].values
            assert isinstance(values, list)
            columns.append(torch.cat(values))
        counts = [len(row.answer) for row in part]
        code = bank.encode(torch.cat(columns, dim=1))
        row_of = torch.arange(len(part)).repeat_interleave(torch.tensor(counts))
        table = torch.zeros(len(part), bank.n_features)
        table.index_put_((row_of[code.tokens], code.indices), torch.ones(len(code.indices)), accumulate=True)
        active[start : start + len(part)] = (table / torch.tensor(counts).clamp_min(1)[:, None]).numpy()
        total.index_add_(0, code.indices, code.values.double())
        n_tokens += sum(counts)
        if progress is not None:
            progress(start + len(part), len(rows), "latents")
    return LatentRates(active, (total / max(1, n_tokens)).numpy())


def read_latents(
    name: str,
    model: Model,
    bank: DictionaryBank,
    before: LatentRates,
    after: LatentRates,
    config: DiffConfig,
    count: int,
) -> DictionaryChange:
    """The latents whose rate differs, the largest difference first."""
    change = after.active - before.active
    seen = np.maximum((before.active > 0).mean(0), (after.active > 0).mean(0)) >= LEAST_ROWS
    tested = np.flatnonzero(seen)
    ups, downs = (change[:, tested] > 0).sum(0), (change[:, tested] < 0).sum(0)
    p_values = 2 * np.minimum(sign_test(ups, downs), sign_test(downs, ups))
    q_values = adjust_p_values(p_values.clip(max=1.0))
    passed = [i for i, q in enumerate(q_values) if q <= config.false_discovery_rate]
    best = sorted(passed, key=lambda i: -abs(change[:, tested[i]].mean()))[:count]
    latents = [int(tested[i]) for i in best]
    promotes = promoted_tokens(model, bank, latents, config.n_terms)
    return DictionaryChange(
        dictionary=name,
        n_latents=bank.n_features,
        n_changed=len(passed),
        changed=tuple(
            LatentChange(
                latent=latent,
                base=float(before.active[:, latent].mean()),
                tuned=float(after.active[:, latent].mean()),
                difference=estimate(change[:, latent], config),
                q=float(q_values[index]),
                promotes=tuple(model.tokenizer.decode([token]) for token in tokens),
            )
            for index, latent, tokens in zip(best, latents, promotes, strict=True)
        ),
    )


def promoted_tokens(
    model: Model, bank: DictionaryBank, latents: Sequence[int], count: int
) -> list[list[int]]:
    """Tokens whose logits each latent raises most; none where it writes outside the residual stream."""
    if not latents:
        return []
    try:
        return [[effect.token for effect in one.top] for one in feature_logits(model, bank, latents, count)]
    except DataError:
        return [[] for _ in latents]


def bank_of(dictionary: Dictionary, model: Model) -> DictionaryBank:
    """The dictionary's latents, bound to the base model; DataError where it is another model's."""
    return DictionaryBank(dictionary.bind(model))
