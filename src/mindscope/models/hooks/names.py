"""What other tools call places: TransformerLens hook names and Hugging Face module paths, as addresses."""

from dataclasses import dataclass

from interp_engine.address import Address, AddressError, parse_address
from interp_engine.mappers import (
    UnmappedHook,
    point_to_tlens_hook,
    tlens_hook_to_point,
    tlens_normalized_hook,
)
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import linear_norm

DEPENDS = ("hook_mlp_out", "hook_attn_out")
"""TransformerLens hooks that mean another tensor where a block has norms after its parts."""
OUTPUTS = ("resid_post", "mlp_out", "attn_out", "mlp_out_post", "attn_out_post")
INPUTS = ("resid_pre", "mlp_in", "attn_in", "z")


@dataclass(frozen=True, slots=True, eq=False)
class HookAlias:
    """Where a named tensor is: x = (h - shift) / gain, with h what is at the address.

    `gain` and `shift` are `[width]`, or None where the tensor is what the address holds. They are those of a
    norm whose inside has a name elsewhere (`ln2.hook_normalized`) but no place of its own.
    """

    address: str
    gain: Float[Tensor, "width"] | None = None
    shift: Float[Tensor, "width"] | None = None


def address_of_hook(hook: str, model: HookedModel | None = None) -> HookAlias:
    """The place of a TransformerLens hook such as `blocks.12.hook_resid_post`.

    Args:
        hook: with its layer.
        model: whose hook it is; some names mean another tensor in another architecture.

    Raises:
        ModelError: there is no such hook, it has no place here, or the model is needed to tell.
    """
    inside = tlens_normalized_hook(hook)
    if inside is not None and ".ln2." in hook:
        if model is None:
            raise ModelError(f"{hook} lies inside a norm: name the model whose it is")
        return HookAlias(f"mlp_in.{inside.layer}", *_gain(model, inside.layer or 0))
    if model is None and hook.endswith(DEPENDS) and ".mlp." not in hook and ".attn." not in hook:
        raise ModelError(f"which tensor {hook} is depends on the architecture: name the model whose it is")
    try:
        return HookAlias(_written(tlens_hook_to_point(hook, None if model is None else model.engine)))
    except UnmappedHook:
        raise ModelError(f"the hook {hook!r} has no address here: give the address instead") from None


def hook_of_address(address: str) -> str:
    """The TransformerLens name of an address; ModelError where it has none."""
    try:
        return point_to_tlens_hook(parse_address(address))
    except (UnmappedHook, AddressError, ValueError):
        raise ModelError(f"{address} has no TransformerLens name, which this format needs") from None


def address_of_module(path: str, model: HookedModel, side: str = "output") -> str:
    """The address of what a module takes in or gives out, e.g. of `layers.12.mlp`.

    Args:
        path: of the module, from the causal LM (`model.layers.12`) or from its trunk (`layers.12`); in a
            model of more than text the first name may stand for the trunk.
        model: whose module it is.
        side: `output` or `input`.

    Raises:
        ModelError: there is no such module, or it carries no place that has an address.
    """
    module = None
    trunk = model.engine.arch.trunk
    for root, name in ((model.hf, path), (trunk, path), (trunk, path.partition(".")[2] or path)):
        try:
            module = root.get_submodule(name)
            break
        except AttributeError:
            continue
    if module is None:
        raise ModelError(f"{model.name} has no module {path!r}: give the address instead")
    if side == "output":
        for layer in range(model.n_layers):
            if module is model.engine.arch.pre_mlp_norm(layer):
                return f"mlp_in.{layer}"
    candidates = ["embeddings"] if side == "output" else []
    points = OUTPUTS if side == "output" else INPUTS
    candidates += [f"{point}.{layer}" for layer in range(model.n_layers) for point in points]
    for address in candidates:
        try:
            place = model.place(address)
        except ModelError:  # a point that this architecture lacks
            continue
        if place.module is module and place.side == side and place.part is None:
            return address
    raise ModelError(f"the {side} of {path} has no address: give the address that is meant instead")


def module_of_address(address: str, model: HookedModel) -> tuple[str, str]:
    """The path of the module that carries an address, from the causal LM, and `input` or `output`.

    Raises:
        ModelError: the address leads nowhere, or to a part of what a module gives out.
    """
    place = model.place(address)
    if place.side not in ("input", "output") or place.part is not None:
        raise ModelError(f"{address} is only a part of what a module carries")
    names = [name for name, module in model.hf.named_modules() if module is place.module]
    return names[0], place.side


def split_address(address: str) -> tuple[str, int | None]:
    """The point and the layer of an address: ("resid_post", 12), or ("final_norm", None)."""
    point, _, layer = address.partition(".")
    return point, int(layer) if layer else None


def known_address(address: str) -> bool:
    """Whether this is written as an address is."""
    try:
        parse_address(address)
    except (AddressError, ValueError):
        return False
    return True


def _written(point: Address) -> str:
    return point.name if point.layer is None else f"{point.name}.{point.layer}"


def _gain(model: HookedModel, layer: int) -> tuple[Tensor, Tensor | None]:
    """What the norm before the MLP multiplies by and adds."""
    norm = model.engine.arch.pre_mlp_norm(layer)
    if norm is None:
        raise ModelError(f"layer {layer} of {model.name} has no norm before its MLP")
    found = linear_norm(norm, model.d_model)
    if (found.weight.abs() < 1e-6).any():
        raise ModelError(
            f"the norm before the MLP of layer {layer} silences a dimension and cannot be undone"
        )
    return found.weight, found.bias if found.bias.abs().max() > 1e-6 else None
