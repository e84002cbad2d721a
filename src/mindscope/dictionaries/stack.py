"""Transcoders of single layers as one dictionary, as circuits take them, and apart again."""

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


def unstack_dictionaries(stacked: Dictionary) -> list[Dictionary]:
    """The transcoders of single layers that one dictionary holds, each with what it said of itself.

    Raises:
        DataError: a coder reads or writes more than one site.
    """
    if any(len(wiring.reads) != 1 or len(wiring.writes) != 1 for wiring in stacked.wiring):
        raise DataError("only a stack of transcoders of one layer each can be taken apart")
    about = stacked.metadata.get("layers") or [{} for _ in stacked.wiring]
    biases = stacked.b_dec.split([site.width for site in stacked.writes])
    layers = []
    for wiring, coder, own in zip(stacked.wiring, stacked.coders, about, strict=True):
        (reads,), (writes,) = wiring.reads, wiring.writes
        layers.append(
            Dictionary.single(
                coder,
                biases[writes],
                reads=[stacked.reads[reads]],
                writes=[stacked.writes[writes]],
                activation=stacked.activation,
                k=stacked.k,
                metadata=own,
                models=stacked.models,
                made_with=stacked.made_with,
            )
        )
    return layers
