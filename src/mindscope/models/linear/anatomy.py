"""What is linear inside a model, as matrices: found by running the model on the identity.

Attribution needs the value and output maps of every head, and the matrices of every MLP, of any architecture
(Ameisen et al. 2025, "Circuit Tracing", section on the local replacement model). Instead of a table of names,
fusions and transpositions for each family, the model is asked:

1. One pass finds how many heads, value groups and numbers a head each layer has, by looking at what its
   attention function is called with.
2. Rows of one token each go through the model. Row i has the i-th unit vector written where attention takes
   its input (`attn_in.l`): the values it makes of that are column i of the value map, plus a bias.
3. In the same pass the attention function does not attend: it returns the i-th unit vector of its output.
   What the module then gives out is column i of the output map, plus a bias.
4. One more row holds zeros at both places. Its answers are the biases, which are taken off the others.
5. MLPs are asked likewise at `mlp_in` (what the activation function takes in) and `mlp_act` (the down map).
6. A norm is known by what it does: it is the module whose output is the very tensor that stands at `attn_in`,
   `mlp_in` or behind the last block.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from interp_engine.hooks import HookManager
from jaxtyping import Float
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import LinearNorm, linear_norm
from mindscope.models.linear.norm_modules import find_norm_modules, pass_tokens_alone
from mindscope.models.linear.patterns import AttentionCall, attending

ROWS_AT_ONCE = 1024
"""Unit vectors in one pass: more make the pass's own activations the larger part of the memory."""
_KEPT_AS = "linear_parts"


@dataclass(frozen=True, slots=True, eq=False)
class LinearMap:
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

    value: LinearMap
    output: LinearMap
    heads: int
    kv_heads: int


@dataclass(frozen=True, slots=True, eq=False)
class MLPMaps:
    """The matrices of an MLP: act(pre(x)) * linear(x), or act(pre(x)) where `linear` is None, then `down`."""

    pre: LinearMap
    linear: LinearMap | None
    down: LinearMap


@dataclass(frozen=True, slots=True, eq=False)
class LinearParts:
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


def find_linear_parts(model: HookedModel) -> LinearParts:
    """The linear parts of a model, in float32 on its device.

    Found once and kept with the model, like its fingerprint: after training the weights, wrap it again.

    Raises:
        ModelError: an architecture that does not attend through transformers' attention interface, or a model
            that is shared out over devices.
    """
    parts = model.derived.get(_KEPT_AS)
    if isinstance(parts, LinearParts):
        return parts
    model.require_whole("a look at the linear parts of the attention and the norms")
    modules, parallel = find_norm_modules(model)
    with torch.no_grad():
        norms = {
            address: _on_device(linear_norm(module, model.d_model), model)
            for address, module in modules.items()
        }
    multipliers = model.engine.arch.quirks.residual_multipliers
    parts = LinearParts(parallel, _attention_maps(model), norms, modules, multipliers)
    model.derived[_KEPT_AS] = parts
    return parts


def mlp_maps(model: HookedModel) -> tuple[MLPMaps, ...]:
    """The matrices of every layer's MLP, in float32 on the model's device.

    Raises:
        ModelError: an MLP has no neurons of its own, such as a mixture of experts.
    """
    writes: dict[str, int] = {}
    reads: dict[str, int] = {}
    wide, gated = [], []
    for layer in range(model.n_layers):
        try:
            wide.append(model.width(model.place(f"mlp_act.{layer}")))
            model.place(f"mlp_pre.{layer}")
        except ModelError as error:
            raise ModelError(f"{model.name} has no neurons in layer {layer} to trace: {error}") from None
        writes |= {f"mlp_in.{layer}": model.d_model, f"mlp_act.{layer}": wide[layer]}
        reads |= {f"mlp_pre.{layer}": model.d_model, f"mlp_out.{layer}": wide[layer]}
        try:
            model.place(f"mlp_pre_linear.{layer}")
            reads[f"mlp_pre_linear.{layer}"] = model.d_model
            gated.append(True)
        except ModelError:  # a plain MLP
            gated.append(False)
    # All layers at once: each layer's write takes the place of what the layers below would have given it.
    maps = _on_identity(model, writes, reads)
    return tuple(
        MLPMaps(
            maps[f"mlp_pre.{layer}"],
            maps[f"mlp_pre_linear.{layer}"] if gated[layer] else None,
            maps[f"mlp_out.{layer}"],
        )
        for layer in range(model.n_layers)
    )


def _attention_maps(model: HookedModel) -> tuple[AttentionMaps, ...]:
    shapes: dict[int, tuple[int, int, int]] = {}

    def look(call: AttentionCall) -> tuple[Tensor, None]:
        heads, kv_heads, size = call.query.shape[1], call.value.shape[1], call.value.shape[3]
        shapes[call.layer] = heads, kv_heads, size
        return call.value.new_zeros(*call.query.shape[:1], call.query.shape[2], heads, size), None

    # Step 1: the shapes, which differ between layers in some families.
    with attending(model, look):
        pass_tokens_alone(model, 1)
    if missing := [str(layer) for layer in range(model.n_layers) if layer not in shapes]:
        raise ModelError(
            f"{model.name} ({model.architecture}) does not attend in layer {', '.join(missing)}, so its "
            "patterns cannot be held: choose another architecture"
        )
    values = {layer: _BasisAnswers(model.d_model) for layer in shapes}
    start = [0]

    # Steps 2 and 3: rows x (kv_heads * size) of values come in, unit vectors of rows x heads x size go out.
    def unit_vectors(call: AttentionCall) -> tuple[Tensor, None]:
        heads, _, size = shapes[call.layer]
        values[call.layer].take(call.value[:, :, 0].flatten(1), start[0])
        units = _units(call.value, start[0], heads * size)
        return units.view(len(units), 1, heads, size), None

    layers = range(model.n_layers)
    with attending(model, unit_vectors):
        outputs = _on_identity(
            model,
            {f"attn_in.{layer}": model.d_model for layer in layers},
            {f"attn_out.{layer}": heads * size for layer, (heads, _, size) in shapes.items()},
            lambda at: start.__setitem__(0, at),
        )
    return tuple(
        AttentionMaps(values[layer].linear(), outputs[f"attn_out.{layer}"], heads, kv_heads)
        for layer, (heads, kv_heads, _) in sorted(shapes.items())
    )


class _BasisAnswers:
    """What a linear map answers to unit vectors and to zeros, row by row; some rows do not matter."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: list[Tensor] = []
        self._last: Tensor | None = None

    def take(self, answers: Float[Tensor, "rows out"], start: int) -> None:
        """Answers to rows `start` and on; the last that is ever taken is the one to zeros."""
        self._rows.append(answers[: max(0, self._width - start)].float())
        self._last = answers[-1].float()

    def linear(self) -> LinearMap:
        assert self._last is not None
        # Rows are inputs: a matrix has them as columns. The answer to zeros is the bias of every row.
        return LinearMap((torch.cat(self._rows) - self._last).T.contiguous(), self._last.clone())


def _on_identity(
    model: HookedModel,
    writes: Mapping[str, int],
    reads: Mapping[str, int],
    started: Callable[[int], None] = lambda at: None,
) -> dict[str, LinearMap]:
    """The linear maps from what is written to what is read behind it, in forward passes of single tokens.

    Args:
        model: the model.
        writes: by address, how wide it is: row i holds the i-th unit vector there, rows beyond hold zeros.
        reads: by address, how wide the input of its map is.
        started: told the first row of each pass.
    """
    rows = max(*writes.values(), *reads.values()) + 1  # the last row is zeros at every address
    seen = {address: _BasisAnswers(width) for address, width in reads.items()}

    def replace(address: str, start: int, hidden: Tensor) -> Tensor:
        place = model.place(address)
        tokens = place.tokens(hidden, len(hidden), 1)
        return place.laid_out(_units(tokens, start, writes[address])[:, None], hidden)

    def keep(address: str, start: int, hidden: Tensor) -> None:
        seen[address].take(model.place(address).tokens(hidden, len(hidden), 1)[:, 0].detach(), start)

    for start in range(0, rows, ROWS_AT_ONCE):
        started(start)
        with model.edited([]), HookManager() as hooks:
            for address in writes:
                place = model.place(address)
                hooks.write(place.module, partial(replace, address, start), point=place.side)
            for address in reads:
                place = model.place(address)
                hooks.read(place.module, partial(keep, address, start), point=place.side)
            pass_tokens_alone(model, min(ROWS_AT_ONCE, rows - start))
    return {address: answers.linear() for address, answers in seen.items()}


def _units(like: Tensor, start: int, width: int) -> Tensor:
    """Rows `start` and on of the identity, as many as `like` has, with zeros below its last."""
    rows = torch.arange(start, start + len(like), device=like.device)
    return (rows[:, None] == torch.arange(width, device=like.device)).to(like.dtype)


def _on_device(norm: LinearNorm, model: HookedModel) -> LinearNorm:
    return LinearNorm(norm.weight.to(model.device), norm.bias.to(model.device), norm.centred)
