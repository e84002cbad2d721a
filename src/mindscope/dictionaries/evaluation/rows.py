"""Rows on their way through model and dictionary: what is read of the tokens that count."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.features import MeasuredTokens, Site
from mindscope.models import Model, Raw, Read, Row


def read_sites(
    models: Mapping[str, Model], dictionary: Dictionary, rows: Sequence[Row], tokens: MeasuredTokens
) -> tuple[list[Float[Tensor, "_ d_in"]], list[Float[Tensor, "_ d_out"]]]:
    """What a dictionary reads and what stands where it writes, row by row, of the tokens that count.

    Args:
        models: the dictionary's, by name; each reads the rows once.
        dictionary: the dictionary.
        rows: the same for all models.
        tokens: which count.
    """
    values: dict[Site, Sequence[Tensor]] = {}
    for name, model in models.items():
        sites = [site for site in (*dictionary.reads, *dictionary.writes) if site.model == name]
        reads = {site.address: Read(site.address, Raw("all")) for site in sites}
        readings = model.read(rows, reads) if reads else {}
        values |= {site: list(readings[site.address].values) for site in sites}
    kept = [mask[: len(row)] for mask, row in zip(tokens.mask(rows), rows, strict=True)]

    def joined(sites: Sequence[Site]) -> list[Tensor]:
        return [
            torch.cat([values[site][row][keep] for site in sites], dim=1) for row, keep in enumerate(kept)
        ]

    return joined(dictionary.reads), joined(dictionary.writes)


def read_other_models(
    models: Mapping[str, Model], dictionary: Dictionary, spliced: str, rows: Sequence[Row]
) -> dict[Site, Float[Tensor, "rows columns _"]]:
    """What the models other than the one that is spliced have at the sites that the dictionary reads.

    Rows lie side by side, padded to the right with zeros.
    """
    given: dict[Site, Tensor] = {}
    for name, model in models.items():
        sites = [site for site in dictionary.reads if site.model == name]
        if name == spliced or not sites:
            continue
        readings = model.read(rows, {site.address: Read(site.address, Raw("all")) for site in sites})
        for site in sites:
            given[site] = pad_sequence(list(readings[site.address].values), batch_first=True)
    return given
