"""Places in a model, by interp-engine's standard names (`resid_post.12`, `mlp_in.3`, `embeddings`)."""

from collections.abc import Callable
from dataclasses import dataclass

from interp_engine import EagerModel
from interp_engine.address import Address, AddressError, parse_address
from interp_engine.capture import split_fused_qkv
from interp_engine.facts import split_fused_gate_up
from interp_engine.points import Width, point_spec
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mindscope.errors import ModelError


@dataclass(frozen=True, slots=True)
class HookPoint:
    """An address found in one model.

    Attributes:
        address: its standard name.
        module: the module whose input or output carries the tensor.
        side: `input`, `output` or `output:N`, as interp-engine's `HookManager` takes it.
        width: the size of the last axis where it is the residual stream's, else None until it is seen.
            Several streams side by side (AltUp of Gemma 3n) are refused by it.
        heads: how many heads a per-head tensor has, for points that some families keep per head.
        part: takes the point out of the module's tensor where a fused projection holds more than it.
        runs_again: whether activation checkpointing runs the module a second time in the backward pass.
        behind: the block's output, where the module takes a copy of the stream and the stream itself passes
            it by: what is written must be added there too.
    """

    address: str
    module: nn.Module
    side: str
    width: int | None
    heads: int
    part: Callable[[Tensor], Tensor] | None
    runs_again: bool
    behind: "HookPoint | None" = None

    def tokens(self, hidden: Tensor, rows: int, columns: int) -> Shaped[Tensor, "rows columns width"]:
        """The point as one vector per token, however the family lays it out."""
        given = tuple(hidden.shape)
        if hidden.ndim == 2 and hidden.shape[0] == rows * columns:
            hidden = hidden.view(rows, columns, -1)
        elif hidden.ndim == 4:
            hidden = (hidden.transpose(1, 2) if self._heads_first(hidden, columns) else hidden).flatten(2)
        foreign = self.width is not None and self.part is None and hidden.shape[-1] != self.width
        if hidden.ndim != 3 or hidden.shape[:2] != (rows, columns) or foreign:
            raise ModelError(
                f"{self.address} has shape {given} here, not one vector per token; choose another address"
            )
        return hidden if self.part is None else self.part(hidden)

    def laid_out(self, tokens: Float[Tensor, "rows columns width"], hidden: Tensor) -> Tensor:
        """The inverse of `tokens`, in the layout that `hidden` had."""
        if hidden.ndim == 4 and self._heads_first(hidden, tokens.shape[1]):
            return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return tokens.reshape(hidden.shape)

    def _heads_first(self, hidden: Tensor, columns: int) -> bool:
        """Whether heads come before columns; where they are as many, a transposed view's strides tell."""
        if columns == self.heads:
            return hidden.stride(1) < hidden.stride(2)
        return hidden.shape[1] == self.heads


def find_hook_point(engine: EagerModel, address: str) -> HookPoint:
    """The place an address names in this model.

    Raises:
        ModelError: the address is malformed, unknown, out of range or not carried by any module.
    """
    try:
        parsed: Address = parse_address(address)
        name, layer = parsed.name, parsed.layer
        if layer is not None and layer >= engine.n_layers:
            raise ModelError(f"{address}: the model has layers 0 to {engine.n_layers - 1}")
        module, side = engine.resolve_point(name, layer, stream=parsed.stream)
    except (AddressError, ValueError, LookupError, AttributeError) as error:
        raise ModelError(f"{address!r} is not a place in this model: {_first_sentence(error)}") from error
    spec = point_spec(name, 1)
    width = engine.d_model if spec is not None and spec.width is Width.D_MODEL else None
    part = _part(engine, name, layer or 0)
    runs_again = layer is not None and module is not engine.arch.block(layer)
    behind = find_hook_point(engine, f"resid_post.{layer}") if name == "resid_mid" else None
    return HookPoint(address, module, side, width, _heads(engine, name, layer or 0), part, runs_again, behind)


def _heads(engine: EagerModel, name: str, layer: int) -> int:
    return engine.arch.kv_heads_for_layer(layer) if name.startswith(("k_", "value")) else engine.n_heads


def _part(engine: EagerModel, name: str, layer: int) -> Callable[[Tensor], Tensor] | None:
    if name == "value" and engine.arch.quirks.fused_qkv:
        return lambda slab: split_fused_qkv(engine, slab)["v"].flatten(2)
    if name in ("mlp_pre", "mlp_pre_linear") and (fused := engine.arch.fused_gate_up(layer)) is not None:
        layout, branch = fused[1], "gate" if name == "mlp_pre" else "up"
        return lambda slab: split_fused_gate_up(slab, layout)[branch]
    attention, mlp = engine.arch.quirks.residual_multipliers
    scale = {"attn_out_post": attention, "mlp_out_post": mlp}.get(name, 1.0)
    if scale != 1.0:
        return lambda unscaled: unscaled * scale
    return None


def _first_sentence(error: BaseException) -> str:
    text = " ".join(str(error.args[0] if error.args else error).split())
    head, stop, _ = text.partition(". ")
    return head + ("." if stop else "")
