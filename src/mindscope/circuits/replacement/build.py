"""Putting a local replacement model together: the model's pass, a code for each layer, errors and biases."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mindscope.circuits.replacement.block import FrozenBlock, FrozenNorm
from mindscope.circuits.replacement.local_model import FeatureWrites, LayerFeatures, LocalReplacementModel
from mindscope.errors import ModelError
from mindscope.models import FrozenPass, Model, Row, find_linear_parts, freeze

SAME = 1e-3
"""How far the replacement may be off the model, relative to the largest activation, before it is refused."""
MATERIALISED = 2**29
"""Up to how many bytes active decoder rows are copied side by side; beyond they are gathered when used."""


def build_local_model(
    model: Model,
    row: Row,
    reads: Sequence[str],
    writes: Sequence[str],
    encode: Callable[[int, FrozenPass], LayerFeatures],
    b_dec: Callable[[int], Tensor],
    *,
    more: Sequence[str] = (),
    skip_tokens: int,
) -> LocalReplacementModel:
    """Put a local replacement model together.

    Args:
        model: the model.
        row: the prompt.
        reads: the address that each layer's features read.
        writes: the address that each layer's features write.
        encode: makes a layer's code of the model's pass.
        b_dec: a layer's decoder bias, at its place.
        more: what else `encode` needs of the pass.
        skip_tokens: see `ReplacementModel.freeze`.

    Raises:
        ModelError: the model is not in float32, or does something that this does not know how to hold.
    """
    if model.dtype != torch.float32:
        raise ModelError(
            f"{model.name} is in {str(model.dtype).removeprefix('torch.')}, and a graph has to add up: load "
            "the model with dtype='float32'"
        )
    layers = range(model.n_layers)
    outs = [f"mlp_out_post.{layer}" for layer in layers]
    last = f"resid_post.{model.n_layers - 1}"
    held = freeze(model, row, [*dict.fromkeys([*reads, *more, *outs, "resid_pre.0", last])])
    parts = find_linear_parts(model)
    blocks = tuple(FrozenBlock.of(parts, held, layer) for layer in layers)
    nothing = FrozenNorm.identity(held)
    read_by = tuple(
        block.read_norm if address.startswith("mlp_in.") else nothing
        for block, address in zip(blocks, reads, strict=True)
    )
    write_by = tuple(
        block.write_norm if address.startswith("mlp_out.") else nothing
        for block, address in zip(blocks, writes, strict=True)
    )
    codes = tuple(_without_first(encode(layer, held), skip_tokens) for layer in layers)
    features, column = _in_order(codes)
    written = _written(codes, write_by, features, column, len(row))
    errors, biases = [], []
    for layer, write in enumerate(write_by):
        out = held.activations[outs[layer]]
        skipped, shift = torch.zeros_like(out), torch.zeros_like(out)
        for source, code in enumerate(codes):
            if layer in code.skips:
                seen = held.activations[reads[source]]
                all_of_it = write.linear(seen @ code.skips[layer]) * write.scale[:, None]
                bias = torch.zeros_like(seen) + read_by[source].bias
                fixed = write.linear(bias @ code.skips[layer]) * write.scale[:, None]
                skipped, shift = skipped + all_of_it - fixed, shift + fixed
        bias = write.linear(b_dec(layer).to(out)) * write.scale[:, None] + write.bias + shift
        error = out - written[layer].sum_by_position() - skipped - bias
        bias[:skip_tokens] = (out - skipped)[:skip_tokens]
        error[:skip_tokens] = 0
        errors.append(error)
        biases.append(bias)
    found = LocalReplacementModel(
        held,
        blocks,
        read_by,
        write_by,
        codes,
        features,
        torch.cat([code.activation for code in codes]),
        torch.cat([code.preactivation for code in codes]),
        column,
        written,
        torch.stack(errors),
        torch.stack(biases),
        held.activations["resid_pre.0"],
        FrozenNorm.of(parts, held, "final_norm"),
        skip_tokens,
        parts.parallel,
    )
    _require_same(model, found.forward(), held.activations[last])
    return found


def _require_same(model: Model, ours: Tensor, theirs: Tensor) -> None:
    off = float((ours - theirs).abs().max() / theirs.abs().max())
    if not off < SAME:
        raise ModelError(
            f"the replacement of {model.name} is {off:.1e} off the model itself: its blocks do something "
            f"between MLPs that cannot be held ({model.engine.arch.architecture}); choose another model"
        )


def _without_first(code: LayerFeatures, skip_tokens: int) -> LayerFeatures:
    """The code without what is active at the first positions."""
    start = int((code.position < skip_tokens).sum())
    if start == 0:
        return code
    encoders = code.gather_encoders
    return LayerFeatures(
        code.position[start:],
        code.latent[start:],
        code.activation[start:],
        code.preactivation[start:],
        lambda which: encoders(which + start),
        {target: (rows, row[start:]) for target, (rows, row) in code.decoders.items()},
        code.skips,
    )


def _in_order(codes: Sequence[LayerFeatures]) -> tuple[Tensor, Tensor]:
    """All features as (layer, position, latent), and their columns."""
    features = torch.cat(
        [
            torch.stack([torch.full_like(code.position, layer), code.position, code.latent], dim=1)
            for layer, code in enumerate(codes)
        ]
    )
    by_position = features[:, 1].argsort(stable=True)
    column = torch.empty_like(by_position)
    column[by_position] = torch.arange(len(by_position), device=column.device)
    return features, column


def _written(
    codes: Sequence[LayerFeatures],
    writes: Sequence[FrozenNorm],
    features: Tensor,
    column: Tensor,
    tokens: int,
) -> tuple[FeatureWrites, ...]:
    starts = [0]
    for code in codes:
        starts.append(starts[-1] + len(code.position))
    entries = sum(len(row) * rows.shape[1] for code in codes for rows, row in code.decoders.values())
    copied = entries * 4 <= MATERIALISED
    found = []
    for layer, write in enumerate(writes):
        parts = [(at, *code.decoders[layer]) for at, code in enumerate(codes) if layer in code.decoders]
        where = torch.cat(
            [torch.arange(starts[at], starts[at + 1], device=column.device) for at, _, _ in parts]
        )
        rows = torch.cat([write.linear(rows) for _, rows, _ in parts])
        offsets = torch.tensor([0, *(len(rows) for _, rows, _ in parts)]).cumsum(0).tolist()
        row = torch.cat([row + offset for (_, _, row), offset in zip(parts, offsets, strict=False)])
        order = column[where].argsort()
        where, row = where[order], row[order]
        position = features[where, 1]
        activation = torch.cat([codes[at].activation for at, _, _ in parts])[order]
        gain = activation * write.scale[position]
        ends = torch.searchsorted(position.contiguous(), torch.arange(tokens + 1, device=position.device))
        if copied:
            rows, row = rows[row] * gain[:, None], None
        found.append(FeatureWrites(column[where], tuple(ends.tolist()), gain, rows, row))
    return tuple(found)
