"""Transcoders of single layers as one dictionary, as circuits take them."""

from collections.abc import Sequence

import torch

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.sites import Wiring
from mindscope.errors import DataError


def stack_dictionaries(layers: Sequence[Dictionary]) -> Dictionary:
    """The transcoders of several layers as one dictionary, with a coder each, in this order.

    Raises:
        DataError: none, one that is not a transcoder of one layer, unlike activations, or a site twice.
    """
    if not layers or any(len(layer.wiring) > 1 or layer.kind != "transcoder" for layer in layers):
        raise DataError("only transcoders of one layer each can be stacked")
    first = layers[0]
    if any((layer.activation, layer.k) != (first.activation, first.k) for layer in layers):
        raise DataError("transcoders of unlike activations cannot be stacked")
    reads, writes = ([getattr(layer, side)[0] for layer in layers] for side in ("reads", "writes"))
    if len({*reads}) < len(reads) or len({*writes}) < len(writes):
        raise DataError("two of the transcoders are of one layer")
    return Dictionary(
        tuple(reads),
        tuple(writes),
        tuple(Wiring((number,), (number,), layer.n_latents) for number, layer in enumerate(layers)),
        tuple(layer.coder for layer in layers),
        torch.cat([layer.b_dec for layer in layers]),
        first.activation,
        first.k,
        metadata={"layers": [dict(layer.metadata) for layer in layers]},
    )
