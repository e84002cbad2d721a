"""What is linear inside a model, as matrices: found by running the model on the identity.

The attention module is given unit vectors and its values are recorded: that is its value map. Its attention
function then returns unit vectors: what the module gives out is its output map. The same is done to the MLP.
Nothing needs to know how a family names, fuses or transposes its projections.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from interp_engine.hooks import HookManager, extract_hidden, hidden_from_call
from jaxtyping import Float
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.core import Core
from mindscope.models.norms import LinearNorm, linear_norm
from mindscope.models.passes import Pass
from mindscope.models.patterns import Call, attending

ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """y = x @ weightᵀ + bias."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, "out"]

    def __call__(self, x: Float[Tensor, "*tokens in"]) -> Float[Tensor, "*tokens out"]:
        return x @ self.weight.T + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """What attention does to vectors, given its pattern.

    Attributes:
        value: from what the attention module takes in to its values, `[kv_heads * size, d_model]`.
        output: from mixed values to what the module gives out, `[d_model, heads * size]`.
        heads: how many patterns there are; they share values in `kv_heads` groups.
    """

    value: Linear
    output: Linear
    heads: int
    kv_heads: int


@dataclass(frozen=True, slots=True, eq=False)
class MLPMaps:
    """The matrices of an MLP: act(pre(x)) * linear(x), or act(pre(x)) where `linear` is None, then `down`."""

    pre: Linear
    linear: Linear | None
    down: Linear


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What is linear in a model, and where its norms are.

    Attributes:
        parallel: whether attention and MLP of a block read the same stream (GPT-NeoX, GPT-J, Falcon).
        attention: one a layer.
        norms: by the address of what a norm gives out: `attn_in.3`, `attn_out_post.3`, `mlp_in.3`,
            `mlp_out_post.3`, `final_norm`. A family that lacks one has no entry.
        modules: the same norms as modules.
        multipliers: what attention's and the MLP's outputs are multiplied by before they are added.
    """

    parallel: bool
    attention: tuple[AttentionMaps, ...]
    norms: Mapping[str, LinearNorm]
    modules: Mapping[str, nn.Module]
    multipliers: tuple[float, float]


_FOUND: "WeakKeyDictionary[Core, Anatomy]" = WeakKeyDictionary()
"""Like the fingerprint, found once: after training the weights, wrap the model anew."""


def anatomy(model: Core) -> Anatomy:
    """The linear parts of a model, in float32 on its device.

    Raises:
        ModelError: an architecture that does not attend through transformers' attention interface.
    """
    if model not in _FOUND:
        modules = _norm_modules(model)
        with torch.no_grad():
            norms = {
                name: _on_device(linear_norm(each, model.d_model), model) for name, each in modules.items()
            }
        arch = model.engine.arch
        _FOUND[model] = Anatomy(
            arch.quirks.parallel_attn_mlp,
            _attention_maps(model),
            norms,
            modules,
            arch.quirks.residual_multipliers,
        )
    return _FOUND[model]


def mlp_maps(model: Core, layer: int) -> MLPMaps:
    """The matrices of one layer's MLP.

    Raises:
        ModelError: this MLP has no neurons of its own, such as a mixture of experts.
    """
    pre, linear, act = (f"{name}.{layer}" for name in ("mlp_pre", "mlp_pre_linear", "mlp_act"))
    try:
        gated = True
        model.place(linear)
    except ModelError:
        gated = False
    try:
        wide = model.width(model.place(act))
        reads = [pre, linear, f"mlp_out.{layer}"] if gated else [pre, f"mlp_out.{layer}"]
        found = _on_identity(model, {f"mlp_in.{layer}": model.d_model, act: wide}, reads, layers=(layer,))
    except ModelError as error:
        raise ModelError(
            f"the MLP of layer {layer} of {model.name} has no neurons to trace: {error}"
        ) from None
    return MLPMaps(
        _linear(found[pre], model.d_model),
        _linear(found[linear], model.d_model) if gated else None,
        _linear(found[f"mlp_out.{layer}"], wide),
    )


def _attention_maps(model: Core) -> tuple[AttentionMaps, ...]:
    shapes: dict[int, tuple[int, int, int]] = {}

    def look(call: Call) -> tuple[Tensor, None]:
        heads, kv_heads, size = call.query.shape[1], call.value.shape[1], call.value.shape[3]
        shapes[call.layer] = heads, kv_heads, size
        return call.value.new_zeros(*call.query.shape[:1], call.query.shape[2], heads, size), None

    with attending(model, look):
        _pass(model, 1)
    widest = max(model.d_model, *(heads * size for heads, _, size in shapes.values()))
    values: dict[int, list[Tensor]] = {layer: [] for layer in shapes}
    start = [0]

    def unit_vectors(call: Call) -> tuple[Tensor, None]:
        heads, _, size = shapes[call.layer]
        values[call.layer].append(call.value[:, :, 0].flatten(1))
        units = _units(call.value, start[0], heads * size)
        return units.view(len(units), 1, heads, size), None

    layers = range(model.n_layers)
    with attending(model, unit_vectors):
        outputs = _on_identity(
            model,
            {f"attn_in.{layer}": model.d_model for layer in layers},
            [f"attn_out.{layer}" for layer in layers],
            rows=widest,
            started=lambda at: start.__setitem__(0, at),
        )
    return tuple(
        AttentionMaps(
            _linear(torch.cat(values[layer]), model.d_model),
            _linear(outputs[f"attn_out.{layer}"], heads * size),
            heads,
            kv_heads,
        )
        for layer, (heads, kv_heads, size) in sorted(shapes.items())
    )


def _on_identity(
    model: Core,
    writes: Mapping[str, int],
    reads: Sequence[str],
    *,
    rows: int = 0,
    layers: Sequence[int] = (),
    started: Callable[[int], None] = lambda at: None,
) -> dict[str, Tensor]:
    """What is read at addresses while others hold unit vectors: row i the i-th, the last one zeros.

    `writes` says how wide each address is; those narrower than the widest hold zeros when they run out.
    """
    widest = max(rows, *writes.values())
    seen: dict[str, list[Tensor]] = {address: [] for address in reads}

    def replace(address: str, start: int, hidden: Tensor) -> Tensor:
        place = model.place(address)
        tokens = place.tokens(hidden, len(hidden), 1)
        return place.laid_out(_units(tokens, start, writes[address])[:, None], hidden)

    def keep(address: str, hidden: Tensor) -> None:
        seen[address].append(model.place(address).tokens(hidden, len(hidden), 1)[:, 0].detach())

    for start in range(0, widest + 1, ROWS_AT_ONCE):
        started(start)
        with model.edited([]), HookManager() as hooks:
            for address in writes:
                place = model.place(address)
                hooks.write(place.module, partial(replace, address, start), point=place.side)
            for address in reads:
                place = model.place(address)
                hooks.read(place.module, partial(keep, address), point=place.side)
            _pass(model, min(ROWS_AT_ONCE, widest + 1 - start))
    return {address: torch.cat(parts) for address, parts in seen.items()}


def _pass(model: Core, rows: int) -> None:
    """A forward pass of rows of one token."""
    ids = np.zeros((rows, 1), np.int64)
    with torch.no_grad():
        model.forward_pass(ids, Pass(ids, np.ones(rows, np.int64)), None, [], logits=False)


def _units(like: Tensor, start: int, width: int) -> Tensor:
    """Rows `start` and on of the identity, as many as `like` has, with zeros below its last."""
    rows = torch.arange(start, start + len(like), device=like.device)
    return (rows[:, None] == torch.arange(width, device=like.device)).to(like.dtype)


def _linear(answers: Float[Tensor, "rows out"], width: int) -> Linear:
    """The map whose answers to unit vectors these are; the last answer is the one to zeros."""
    bias = answers[-1].float()
    return Linear((answers[:width].float() - bias).T.contiguous(), bias.clone())


def _norm_modules(model: Core) -> dict[str, nn.Module]:
    """By address, the norm that makes what is there: told by its output being that very tensor."""
    arch = model.engine.arch
    found: dict[str, nn.Module] = {}
    for layer in range(model.n_layers):
        for name, norm in (
            ("attn_out_post", arch.post_attn_norm(layer)),
            ("mlp_out_post", arch.post_mlp_norm(layer)),
        ):
            if norm is not None:
                found[f"{name}.{layer}"] = norm
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []  # kept, so that no memory is used twice in the pass
    read: dict[str, Tensor] = {}

    def note(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        taken, given = hidden_from_call(args, kwargs), extract_hidden(output)
        if taken is not None and isinstance(given, Tensor):
            calls.append((module, taken, given))

    handles = [
        module.register_forward_hook(note, with_kwargs=True)
        for layer in range(model.n_layers)
        for module in arch.block(layer).modules()
        if module is not arch.block(layer)
    ]
    wanted = [f"{name}.{layer}" for layer in range(model.n_layers) for name in ("attn_in", "mlp_in")]
    try:
        with model.edited([]), HookManager() as hooks:
            for address in wanted:
                place = model.place(address)
                hooks.read(place.module, partial(read.__setitem__, address), point=place.side)
            _pass(model, 1)
    finally:
        for handle in handles:
            handle.remove()
    for address, tensor in read.items():
        for module, taken, given in calls:
            if given.data_ptr() == tensor.data_ptr() and taken.data_ptr() != given.data_ptr():
                found[address] = module
                break
    if arch.final_norm is not None:
        found["final_norm"] = arch.final_norm
    return found


def _on_device(norm: LinearNorm, model: Core) -> LinearNorm:
    return LinearNorm(norm.weight.to(model.device), norm.bias.to(model.device), norm.centred)
