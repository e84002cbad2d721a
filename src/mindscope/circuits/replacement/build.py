"""Putting a local replacement model together from one pass of the model.

Ameisen et al. 2025, "Circuit Tracing", section "Building a local replacement model":

1. Run the model once on the prompt. Keep attention patterns, norms' scales, what each layer's features read,
   what each MLP wrote, and the stream behind the last block.
2. Make every block linear: fold norms' weights into the value and output maps, their scales into the pattern.
3. Encode: the active features of each layer. Leave out those at the first tokens, which soak up attention.
4. Number the features twice: by (layer, position, latent), as graphs list them, and by (position, layer,
   latent), as the sweep backwards meets them.
5. Collect what features write at each layer, as vectors in the stream, times activation and norm scale.
6. Split what is left of each MLP's output: biases are not nodes, the rest is the error node's.
7. Run the result forwards. If it is not the model to a thousandth, something was not linear: refuse.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.index_spaces import ColumnIndex
from mindscope.circuits.replacement.block import FrozenBlock, FrozenNorm
from mindscope.circuits.replacement.first_tokens import count_first_tokens
from mindscope.circuits.replacement.layer_features import FeatureWrites, LayerFeatures, find_spans
from mindscope.circuits.replacement.local_model import LocalReplacementModel
from mindscope.errors import ModelError
from mindscope.models import (
    Edit,
    FrozenPass,
    Model,
    Row,
    centred_unembedding,
    find_linear_parts,
    freeze,
    split_address,
)

SAME = 1e-3
"""How far a token's stream, or the logits, may be off the model's, relative to their length."""
COMPARED_LOGITS = 100
"""The most probable next tokens: the others are not explained."""
MATERIALISED = 2**29
"""Up to how many bytes active decoder rows are copied side by side; beyond they are gathered when used."""


LayerDecoders = dict[int, tuple[Tensor, Tensor]]
"""By the layer written: decoder rows `[n, width]` at the place written, and each feature's row `[active]`."""


@dataclass(frozen=True, eq=False)
class ReplacementCoders:
    """What a replacement puts into the MLPs' places, layer by layer.

    Attributes:
        reads: the address that each layer's features read.
        writes: the address that each layer's features write.
        encode: makes a layer's features of the model's pass, and what they write.
        decoder_bias: a layer's decoder bias, at the address written.
        extra_reads: what else `encode` needs of the pass.
    """

    reads: Sequence[str]
    writes: Sequence[str]
    encode: Callable[[int, FrozenPass], tuple[LayerFeatures, LayerDecoders]]
    decoder_bias: Callable[[int], Tensor]
    extra_reads: Sequence[str] = ()


def build_local_model(
    model: Model,
    row: Row,
    coders: ReplacementCoders,
    *,
    skip_tokens: int | None,
    edits: Sequence[Edit] = (),
) -> LocalReplacementModel:
    """Put a local replacement model together.

    Args:
        model: the model.
        row: the prompt.
        coders: what replaces its MLPs.
        skip_tokens: see `ReplacementModel.freeze`.
        edits: likewise.

    Raises:
        ModelError: the model is not in float32, does something that cannot be held linear, or is edited
            elsewhere than behind a block.
    """
    if model.dtype != torch.float32:
        raise ModelError(
            f"{model.name} is in {str(model.dtype).removeprefix('torch.')}, and a graph has to add up: load "
            "the model with dtype='float32'"
        )
    # 1: one pass of the model
    layers = range(model.n_layers)
    outputs = [f"mlp_out_post.{layer}" for layer in layers]
    last = f"resid_post.{model.n_layers - 1}"
    addresses = [*coders.reads, *coders.extra_reads, *outputs, "resid_pre.0", last]
    frozen_pass, pushes = _freeze_edited(model, row, list(dict.fromkeys(addresses)), edits)
    if skip_tokens is None:
        skip_tokens = count_first_tokens(model, frozen_pass)
    # 2: attention, and the ways into and out of each MLP
    parts = find_linear_parts(model)
    blocks = tuple(FrozenBlock.of(parts, frozen_pass, layer) for layer in layers)
    identity = FrozenNorm.identity(frozen_pass)
    read_norms = tuple(
        block.read_norm if address.startswith("mlp_in.") else identity
        for block, address in zip(blocks, coders.reads, strict=True)
    )
    write_norms = tuple(
        block.write_norm if address.startswith("mlp_out.") else identity
        for block, address in zip(blocks, coders.writes, strict=True)
    )
    # 3 to 5: features, their two orders, and what they write
    encoded = [_skip_first(*coders.encode(layer, frozen_pass), skip_tokens) for layer in layers]
    layer_features = tuple(active for active, _ in encoded)
    features, column_of = _order_features(layer_features)
    decoders = [decoders for _, decoders in encoded]
    del encoded
    feature_writes = _collect_writes(layer_features, decoders, write_norms, column_of, len(row))
    # 6: what is left of each MLP's output
    errors, biases = [], []
    for layer, write_norm in enumerate(write_norms):
        output = frozen_pass.activations[outputs[layer]]
        skipped, shift = _skip_output(
            layer, layer_features, coders.reads, frozen_pass, read_norms, write_norm
        )
        decoder_bias = coders.decoder_bias(layer).to(output)
        bias = write_norm.linear(decoder_bias) * write_norm.scale[:, None] + write_norm.bias + shift
        error = output - feature_writes[layer].sum_by_position() - skipped - bias
        # Nothing is a node at the first tokens: all of the MLP's output there counts as bias.
        bias[:skip_tokens] = (output - skipped)[:skip_tokens]
        error[:skip_tokens] = 0
        errors.append(error)
        # What an edit adds behind the block enters the stream where the MLP writes.
        biases.append(bias + pushes[layer] if layer in pushes else bias)
    local_model = LocalReplacementModel(
        frozen_pass=frozen_pass,
        blocks=blocks,
        read_norms=read_norms,
        write_norms=write_norms,
        layer_features=layer_features,
        features=features,
        activations=torch.cat([active.activation for active in layer_features]),
        preactivations=torch.cat([active.preactivation for active in layer_features]),
        column_of=column_of,
        feature_writes=feature_writes,
        errors=torch.stack(errors),
        biases=torch.stack(biases),
        embeddings=frozen_pass.activations["resid_pre.0"],
        final_norm=FrozenNorm.of(parts, frozen_pass, "final_norm"),
        skip_tokens=skip_tokens,
        parallel=parts.parallel,
    )
    # 7: the same stream as the model's
    _require_same_output(model, local_model, last)
    return local_model


def _freeze_edited(
    model: Model, row: Row, addresses: Sequence[str], edits: Sequence[Edit]
) -> tuple[FrozenPass, dict[int, Float[Tensor, "tokens d_model"]]]:
    """The pass under edits, and by layer what they added behind it: held as it was, and so a constant."""
    if not edits:
        return freeze(model, row, addresses), {}
    places = {edit.address: split_address(edit.address) for edit in edits}
    for address, (name, layer) in places.items():
        if name != "resid_post" or layer is None:
            raise ModelError(f"a graph can hold edits of resid_post.LAYER, and not of {address}")
    with model.edited(edits) as editing, editing.before() as before:
        frozen_pass = freeze(model, row, list(dict.fromkeys([*addresses, *places])))
    pushes = {
        layer: frozen_pass.activations[address] - before[address][0].float()
        for address, (_, layer) in places.items()
        if layer is not None
    }
    return frozen_pass, pushes


def _require_same_output(model: Model, local_model: LocalReplacementModel, last: str) -> None:
    """Compare the replacement with the model token by token, and at the logits of the last one.

    Each against its own size: a single massive activation, as most models have, would hide everything else.
    """
    replaced, original = local_model.forward(), local_model.frozen_pass.activations[last]
    # The final norm takes massive activations down to the size of others, where it is what is read.
    read, expected = (local_model.final_norm.forward(stream) for stream in (replaced, original))
    likely = local_model.frozen_pass.logits.topk(min(COMPARED_LOGITS, model.vocab_size)).indices.tolist()
    unembedding, bias = centred_unembedding(model, likely)
    off = max(
        _relative_error(replaced, original),
        _relative_error(read, expected),
        _relative_error(read[-1:] @ unembedding.T + bias, expected[-1:] @ unembedding.T + bias),
    )
    if not off < SAME:
        raise ModelError(
            f"the replacement of {model.name} is {off:.1e} off the model itself: its blocks do something "
            f"between MLPs that cannot be held ({model.architecture}); choose another model"
        )


def _relative_error(computed: Float[Tensor, "rows _"], expected: Float[Tensor, "rows _"]) -> float:
    """The largest length of a row's difference, in lengths of the row."""
    return float((vector_norm(computed - expected, dim=1) / vector_norm(expected, dim=1)).max())


def _skip_first(
    active: LayerFeatures, decoders: LayerDecoders, skip_tokens: int
) -> tuple[LayerFeatures, LayerDecoders]:
    """The features without those at the first positions, which come first."""
    start = int((active.position < skip_tokens).sum())
    if start == 0:
        return active, decoders
    gather_encoders = active.gather_encoders
    rest = LayerFeatures(
        active.position[start:],
        active.latent[start:],
        active.activation[start:],
        active.preactivation[start:],
        lambda entries: gather_encoders(entries + start),
        active.skips,
    )
    return rest, {target: (rows, row_of[start:]) for target, (rows, row_of) in decoders.items()}


def _order_features(
    layer_features: Sequence[LayerFeatures],
) -> tuple[Int[Tensor, "features 3"], ColumnIndex]:
    """All features as (layer, position, latent), sorted so; and the column of each."""
    features = torch.cat(
        [
            torch.stack([torch.full_like(active.position, layer), active.position, active.latent], dim=1)
            for layer, active in enumerate(layer_features)
        ]
    )
    # Sorting stably by position keeps layer and latent in order within a position.
    by_position = features[:, 1].argsort(stable=True)
    column_of = torch.empty_like(by_position)
    column_of[by_position] = torch.arange(len(by_position), device=column_of.device)
    return features, column_of


def _collect_writes(
    layer_features: Sequence[LayerFeatures],
    decoders: Sequence[LayerDecoders],
    write_norms: Sequence[FrozenNorm],
    column_of: ColumnIndex,
    tokens: int,
) -> tuple[FeatureWrites, ...]:
    """What features of all layers write at each layer, sorted by column. Empties `decoders` on its way."""
    sizes = [len(active.position) for active in layer_features]
    columns_of_layer = column_of.split(sizes)
    # One vector per entry is faster to multiply with; many entries share decoder rows where memory is short.
    entries = sum(len(row_of) * rows.shape[1] for layer in decoders for rows, row_of in layer.values())
    copied = entries * 4 <= MATERIALISED
    writes = []
    for target, write_norm in enumerate(write_norms):
        # Of a per-layer dictionary this is one layer; of a CLT every layer up to this one.
        layers = [layer for layer, rows in enumerate(decoders) if target in rows]
        parts = [decoders[layer].pop(target) for layer in layers]
        position = torch.cat([layer_features[layer].position for layer in layers])
        activation = torch.cat([layer_features[layer].activation for layer in layers])
        # By column, so that the entries of a position lie side by side.
        columns, order = torch.cat([columns_of_layer[layer] for layer in layers]).sort()
        gain = activation * write_norm.scale[position]
        if copied:
            rows, row_of = _copy_rows(parts, write_norm, gain, order), None
        else:
            rows = torch.cat([write_norm.linear(rows) for rows, _ in parts])
            offsets = torch.tensor([0, *(len(rows) for rows, _ in parts)]).cumsum(0).tolist()
            row_of = torch.cat([row_of + offset for (_, row_of), offset in zip(parts, offsets, strict=False)])
            row_of = row_of[order]
        position = position[order].contiguous()
        ends = torch.searchsorted(position, torch.arange(tokens + 1, device=position.device)).tolist()
        writes.append(
            FeatureWrites(columns, tuple(ends), find_spans(columns, ends), gain[order], rows, row_of)
        )
    return tuple(writes)


def _copy_rows(
    parts: Sequence[tuple[Tensor, Tensor]],
    write_norm: FrozenNorm,
    gain: Float[Tensor, "entries"],
    order: Int[Tensor, "entries"],
) -> Float[Tensor, "entries d_model"]:
    """Each entry's decoder row in the stream, times its gain: parts side by side, then in this order."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    copies, start = None, 0
    for rows, row_of in parts:
        rows, stop = write_norm.linear(rows), start + len(row_of)
        if copies is None:
            copies = rows.new_empty(len(order), rows.shape[1])
        # Part by part, so that nothing as large as the whole is made twice.
        copies[place[start:stop]] = rows[row_of].mul_(gain[start:stop, None])
        start = stop
    assert copies is not None  # each layer is written by one coder at least
    return copies


def _skip_output(
    layer: int,
    layer_features: Sequence[LayerFeatures],
    reads: Sequence[str],
    frozen_pass: FrozenPass,
    read_norms: Sequence[FrozenNorm],
    write_norm: FrozenNorm,
) -> tuple[Float[Tensor, "tokens d_model"], Float[Tensor, "tokens d_model"]]:
    """What skips give at a layer's output: the part that is linear in the stream, and a bias."""
    output = frozen_pass.activations[f"mlp_out_post.{layer}"]
    linear, shift = torch.zeros_like(output), torch.zeros_like(output)
    for source, active in enumerate(layer_features):
        if layer in active.skips:
            read = frozen_pass.activations[reads[source]]
            total = write_norm.linear(read @ active.skips[layer]) * write_norm.scale[:, None]
            # The bias of the norm before the MLP goes through the skip too, and is not linear in the stream.
            read_bias = torch.zeros_like(read) + read_norms[source].bias
            fixed = write_norm.linear(read_bias @ active.skips[layer]) * write_norm.scale[:, None]
            linear, shift = linear + total - fixed, shift + fixed
    return linear, shift
