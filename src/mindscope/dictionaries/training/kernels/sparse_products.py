"""Encoding and decoding that cost what is active: the dense product is made once, forward, to choose.

A token has k active latents of many thousands, so decoding, the gradients of both weight matrices and the
gradient of the activations touch k rows a token. `embedding_bag` and its backward kernels do that on every
device. Gradients equal those of the dense formulas (tests/dictionaries/oracle/test_kernels.py).

Where a device works beside the host, the host waits for it once in each encoding, to learn how many entries
there are: shapes are known only then. All else is made of tensors whose shapes are known before.

One step of training goes through five steps here:

1. Pre-activations of all latents, a piece of tokens at a time, without gradients: `encode` makes them only
   to choose, and each piece overwrites the one before.
2. A `Choice` (`choices`) picks the active ones: k of a token (TopK), k a token over the whole batch
   (BatchTopK), or all positive ones (ReLU). What it picks is a list of (token, latent).
3. The values of the chosen are attached to the graph by `_SparseEncode`; where the choice was made in
   bfloat16, they are computed again in float32 as inner products of the chosen rows alone.
4. `decode` sums decoder rows times values for each token.
5. Backward, the gradient of a row of W_enc or W_dec is a sum over the entries of its latent (`_outer`), that
   of a value an inner product of two rows (`_dots`). No dense tokens x latents gradient ever exists.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mindscope.dictionaries.training.kernels.choices import Choice, Chosen, TopOfBatch
from mindscope.features import SparseCode, is_apart

CHUNK_ELEMENTS = 2**22
"""The most pre-activations that are in memory at a time while active latents are chosen."""


def encode(
    x: Float[Tensor, "tokens d_in"],
    W_enc: Float[Tensor, "latents d_in"],
    b_enc: Float[Tensor, "latents"],
    choice: Choice,
    *,
    b_in: Float[Tensor, "d_in"] | None = None,
    bfloat16: bool = False,
) -> SparseCode:
    """Chosen pre-activations of (x - b_in) W_encᵀ + b_enc, with gradients to the weights and biases.

    Args:
        x: data; takes no gradient.
        W_enc: rows of latents.
        b_enc: biases of latents.
        choice: which latents are active.
        b_in: subtracted from x.
        bfloat16: choose by a product in bfloat16; the chosen values are computed in float32 all the same.

    Returns:
        The code; all its values are positive.
    """
    with torch.no_grad():
        centred = x if b_in is None else x - b_in
        weight, low = (W_enc.bfloat16(), centred.bfloat16()) if bfloat16 else (W_enc, centred)
        bias = b_enc.to(weight.dtype)
        rows = max(1, CHUNK_ELEMENTS // len(W_enc))

        # tokens x latents, one buffer for all pieces: a batch of 8192 x 65k would take 2 GB
        def pieces() -> Iterator[tuple[int, Tensor]]:
            out = low.new_empty(min(rows, len(x)), len(W_enc))
            for start in range(0, len(x), rows):
                part = low[start : start + rows]
                yield start, torch.addmm(bias, part, weight.T, out=out[: len(part)])

        chosen: Chosen | None = None
        if isinstance(choice, TopOfBatch) and choice.mesh.everyone.count == 1 and is_apart(x):
            chosen = choice.choose_on_device(pieces, len(x))
        latents, tokens, known = chosen or choice.choose(pieces, len(x))
        # What bfloat16 chose it did not measure: those values are computed again with the gradient's rows.
        exact = known is not None and not bfloat16
        known = known if known is not None and exact else centred.new_empty(len(latents))
        code = SparseCode.by_token(latents, known, tokens, len(x), len(W_enc))
    values = _SparseEncode.apply(centred, W_enc, b_enc, b_in, code, exact)
    assert isinstance(values, Tensor)
    code = SparseCode(code.indices, values, code.offsets, code.n_latents)
    if exact:  # of which only positive ones are chosen
        return code
    positive = values > 0
    return code if positive.all() else code.where(positive)  # positive in bfloat16 only


def decode(code: SparseCode, W_dec: Float[Tensor, "latents d_out"]) -> Float[Tensor, "tokens d_out"]:
    """The sum of decoder rows times values for each token, with gradients to both."""
    written = _SparseDecode.apply(code.values, W_dec, code)
    assert isinstance(written, Tensor)
    return written


class _SparseEncode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, W_enc: Tensor, b_enc: Tensor, b_in: Tensor | None, code: SparseCode, exact: bool
    ) -> Tensor:
        ctx.save_for_backward(x, W_enc)
        ctx.code, ctx.centred = code, b_in is not None
        return code.values.clone() if exact else _dots(x, W_enc, code) + b_enc[code.indices]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, W_enc = ctx.saved_tensors
        code: SparseCode = ctx.code
        # dL/dW_enc[i] = sum over the tokens where i is active of g * x; the bias the same with x = 1;
        # b_in enters as -W_enc b_in, so it gets -(dL/db) W_enc.
        weight = _outer(x, code, gradient)
        bias = gradient.new_zeros(len(W_enc)).index_add_(0, code.indices, gradient)
        return None, weight, bias, -(bias @ W_enc) if ctx.centred else None, None, None


class _SparseDecode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, W_dec: Tensor, code: SparseCode) -> Tensor:
        ctx.save_for_backward(values, W_dec)
        ctx.code = code
        return functional.embedding_bag(
            code.indices,
            W_dec,
            code.offsets,
            mode="sum",
            per_sample_weights=values,
            include_last_offset=True,
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        gradient = gradient.contiguous()
        values, W_dec = ctx.saved_tensors
        code: SparseCode = ctx.code
        to_values, to_rows, _ = ctx.needs_input_grad
        return (
            _dots(gradient, W_dec, code) if to_values else None,
            _outer(gradient, code, values) if to_rows else None,
            None,
        )


def _dots(
    rows: Float[Tensor, "tokens d"], weight: Float[Tensor, "latents d"], code: SparseCode
) -> Float[Tensor, "active"]:
    """For every entry the inner product of its token's row with its latent's row."""
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(
        rows, weight, code.indices, code.offsets[:-1], code.tokens, 0
    )


def _outer(
    rows: Float[Tensor, "tokens d"], code: SparseCode, values: Float[Tensor, "active"]
) -> Float[Tensor, "latents d"]:
    """For every latent the sum over its entries of value times the token's row."""
    sizes = code.l0
    return torch.ops.aten._embedding_bag_dense_backward(
        rows, code.indices, code.tokens, sizes, sizes, code.n_latents, False, 0, values, -1
    )
