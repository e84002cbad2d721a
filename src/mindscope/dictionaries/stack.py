"""Transcoders of single layers as one dictionary, as circuits take them."""

from collections.abc import Sequence

import torch

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.sites import Wiring
from mindscope.errors import DataError


def stack_dictionaries(layers: Sequence[Dictionary]) -> Dictionary:
    """The transcoders of several layers as one dictionary, with a coder each, in this order.

    Raises:
        DataError: none, one that is no transcoder of one layer, unlike activations, or a site twice.
    """
    if not layers or any(len(one.wiring) > 1 or one.kind != "transcoder" for one in layers):
        raise DataError("only transcoders of one layer each can be stacked")
    first = layers[0]
    if any((one.activation, one.k) != (first.activation, first.k) for one in layers):
        raise DataError("transcoders of unlike activations cannot be stacked")
    reads, writes = ([getattr(one, side)[0] for one in layers] for side in ("reads", "writes"))
    if len({*reads}) < len(reads) or len({*writes}) < len(writes):
        raise DataError("two of the transcoders are of one layer")
    return Dictionary(
        tuple(reads),
        tuple(writes),
        tuple(Wiring((at,), (at,), one.n_latents) for at, one in enumerate(layers)),
        tuple(one.coder for one in layers),
        torch.cat([one.b_dec for one in layers]),
        first.activation,
        first.k,
        metadata={"layers": [dict(one.metadata) for one in layers]},
    )
