"""What is written at an address, as a vector in the residual stream."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import linear_norm
from mindscope.models.linear.frozen import FrozenPass

IN_STREAM = frozenset(("resid_pre", "resid_mid", "resid_post", "attn_out_post", "mlp_out_post"))
"""What is added here is added to the stream itself."""
BEHIND_NORM = ("attn_out", "mlp_out")
"""What is added here passes the block's post-norm, where a family has one, and its residual multiplier."""


def writes_residual(model: HookedModel, address: str) -> bool:
    """Whether what is written at an address is added to the residual stream, if behind a block's post-norm.

    Token embeddings are, but not where the family norms them before the first block (BLOOM).
    """
    name = address.partition(".")[0]
    if name == "embeddings":
        return not _embeddings_are_normed(model)
    known = name in IN_STREAM or name in BEHIND_NORM
    return known and model.width(model.place(address)) == model.d_model


@torch.no_grad()
def map_to_stream(
    model: HookedModel,
    address: str,
    vectors: Float[Tensor, "k width"],
    frozen_pass: FrozenPass | None = None,
    positions: Int[Tensor, "k"] | None = None,
) -> Float[Tensor, "k d_model"]:
    """Vectors that are added at an address, as what is added to the residual stream; float32.

    At `resid_*`, `attn_out_post` and `mlp_out_post` that is the vector itself. What is added at `attn_out` or
    `mlp_out` of layer l becomes multiplier * scale * weight * (v - mean v): through the norm behind the
    module (Gemma 2 and 3, OLMo 2), with the mean only of a LayerNorm, and through the multiplier of a family
    that has one (Granite). Families with neither add the vector as it is.

    Args:
        model: the model.
        address: where the vectors are added.
        vectors: a row each.
        frozen_pass: of one row, whose norms give their scales; without it a post-norm's scale is left out, as
            `logit_effects` leaves out that of the final norm, and vectors of one address are comparable.
        positions: the token of each vector in that row.

    Raises:
        ModelError: what is written there is no part of the stream, or a pass is given without positions.
    """
    if not writes_residual(model, address):
        raise ModelError(
            f"{address} is not added to the residual stream: use resid_*, attn_out, mlp_out or embeddings"
        )
    if (frozen_pass is None) != (positions is None):
        raise ModelError("the scales of a frozen pass are those of its tokens: give the pass and positions")
    name, _, number = address.partition(".")
    vectors = vectors.detach().float()
    if name not in BEHIND_NORM:
        return vectors
    layer, arch = int(number), model.engine.arch
    module = arch.post_attn_norm(layer) if name == "attn_out" else arch.post_mlp_norm(layer)
    multiplier = arch.quirks.residual_multipliers[BEHIND_NORM.index(name)]
    if module is None:
        return vectors * multiplier
    norm = linear_norm(module, model.d_model)  # on the CPU
    written = norm.linear(vectors.cpu()).to(vectors.device) * multiplier
    if frozen_pass is None or positions is None:
        return written
    scales = frozen_pass.scales[f"{name}_post.{layer}"].to(vectors.device)
    return written * scales[positions.to(vectors.device), None]


def _embeddings_are_normed(model: HookedModel) -> bool:
    """A norm beside the blocks that is not the final one stands between the embeddings and the stream."""
    arch = model.engine.arch
    return any(
        "Norm" in type(module).__name__ and module is not arch.final_norm for module in arch.trunk.children()
    )
