"""How one head reads its queries and keys: linear maps of what attention takes in, found by gradients.

A head's score of a key is a product of two vectors that are linear in what attention takes in, once QK-norms
have their scales held (transformer-circuits.pub, July 2025, "Tracing Attention Computation Through Feature
Interactions"). Which linear maps these are is in the gradients:

1. The layer's attention runs on the row's own input, as far as its attention function, which is stopped. The
   norms inside the module, known by what they do, give their scales, and are held at them.
2. The gradient of each number of the query at the asked token gives that row of the query map. A key depends
   on its own token alone, so the gradient of the sum of all keys gives every key's map at once. Rotary
   positions, fused projections and shared keys are all in there.
3. The same run on zeros gives the biases.
4. The maps must give the model's own queries and keys again; where they do not, the architecture is refused.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from interp_engine.hooks import hidden_from_call
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.hooks.attach import ReadsServed
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import LARGE, LinearNorm, linear_norm
from mindscope.models.hooks.rewrite import rewritten
from mindscope.models.linear.anatomy import LinearMap
from mindscope.models.linear.frozen import FrozenPass
from mindscope.models.linear.patterns import AttentionCall, attending
from mindscope.models.tokens.batch import right_padded
from mindscope.models.tokens.rows import Row

SAME = 1e-3
"""How far the linear maps may be off the model's queries and keys, relative to the largest."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadReading:
    """One head's query at one token and its keys at this and all earlier ones, of one prompt.

    score(k) = scaling * (query(x_q) . keys[k](x_k)), x being what the attention module takes in
    (`attn_in.l`). QK-norms are in the maps with the scales that they had; rotary turns by their positions.

    Attributes:
        query: from `d_model` to the head's size.
        weights: `[keys, size, d_model]`; `biases`: `[keys, size]`: y = weights[k] @ x + biases[k].
        scaling: what the product is multiplied by.
        softcap: a score s then became softcap * tanh(s / softcap), or None.
        scores: `[keys]`, the model's own, before the cap.
        visible: `[keys]`, at which tokens the query may look.
        pattern: `[keys]`, how much it takes of each.
    """

    query: LinearMap
    weights: Float[Tensor, "keys size d_model"]
    biases: Float[Tensor, "keys size"]
    scaling: float
    softcap: float | None
    scores: Float[Tensor, "keys"]
    visible: Bool[Tensor, "keys"]
    pattern: Float[Tensor, "keys"]


def head_reading(model: HookedModel, held: FrozenPass, layer: int, head: int, query: int) -> HeadReading:
    """How a head of a layer reads its query at token `query`, and the keys that it meets.

    Raises:
        ModelError: there is no such layer, head or token; or queries and keys are not linear once the norms'
            scales are held, as with a norm that is not a module.
    """
    heads = _require_place(model, held, layer, head, query)
    attended = held.attention[layer]
    kv_head = head // (heads // attended.key.shape[1])
    norms = _norms(model, held.row, layer)
    scales: dict[nn.Module, list[Tensor]] = {module: [] for module in norms}
    leaf: list[Tensor] = []

    # Steps 1 and 2.
    def grown(_address: str, hidden: Tensor, _seen: object) -> Tensor:
        torch.set_grad_enabled(True)  # from here on; what lies before needs no gradients
        leaf.append(hidden.detach().clone().requires_grad_(True))
        return leaf[0]

    with torch.no_grad(), _held(norms, scales, known=False):
        queries, keys = _run(model, held.row, layer, grown)
        with torch.enable_grad():
            rows = [queries[0, head, query].unbind(), keys[0, kv_head].sum(0).unbind()]
        # A key depends on its own token alone, so one gradient of their sum tells all of them apart.
        weight, weights = (
            torch.stack([torch.autograd.grad(number, leaf, retain_graph=True)[0][0] for number in numbers])
            for numbers in rows
        )  # each `[size, tokens, d_model]`
    # Step 3: zeros in, with the scales of the row's own pass.
    with torch.no_grad(), _held(norms, scales, known=True):
        no_queries, no_keys = _run(model, held.row, layer, lambda _, hidden, __: torch.zeros_like(hidden))
    map_ = LinearMap(weight[:, query].contiguous(), no_queries[0, head, query])
    weights, biases = weights[:, : query + 1].transpose(0, 1), no_keys[0, kv_head, : query + 1]
    x = leaf[0].detach()[0]
    own = attended.query[0, head, query], attended.key[0, kv_head, : query + 1]
    ours = map_(x[query]), torch.einsum("ksd,kd->ks", weights, x[: query + 1]) + biases
    # Step 4: `not <=` refuses NaN too.
    for made, expected in zip(ours, own, strict=True):
        if not float((made - expected).abs().max()) <= SAME * float(expected.abs().max().clamp(min=1e-6)):
            raise ModelError(
                f"queries and keys of layer {layer} of {model.name} are not linear once the norms' scales "
                f"are held ({model.engine.arch.architecture}): their scores cannot be taken apart"
            )
    # A mask is a very low number that is added to scores, one for all heads or one a head.
    visible = torch.ones(query + 1, dtype=torch.bool, device=x.device)
    if attended.mask is not None:
        mask = attended.mask[0, head if attended.mask.shape[1] > 1 else 0, query, : query + 1]
        visible = mask > torch.finfo(mask.dtype).min / 2
    return HeadReading(
        map_,
        weights.contiguous(),
        biases,
        float(attended.scaling),
        attended.softcap,
        (own[1] @ own[0]) * attended.scaling,
        visible,
        attended.pattern[0, head, query, : query + 1],
    )


def _require_place(model: HookedModel, held: FrozenPass, layer: int, head: int, query: int) -> int:
    """How many heads the layer has."""
    if not 0 <= layer < model.n_layers:
        raise ModelError(f"there is no layer {layer}: {model.name} has layers 0 to {model.n_layers - 1}")
    heads = held.attention[layer].query.shape[1]
    if not 0 <= head < heads:
        raise ModelError(f"there is no head {head} in layer {layer} of {model.name}: it has 0 to {heads - 1}")
    if not 0 <= query < len(held.row):
        raise ModelError(f"there is no token {query}: the prompt has tokens 0 to {len(held.row) - 1}")
    return heads


def _run(
    model: HookedModel, row: Row, layer: int, rewrite: Callable[[str, Tensor, Mapping[str, Tensor]], Tensor]
) -> tuple[Tensor, Tensor]:
    """The queries and keys of a layer, with what its attention takes in rewritten; no further than there."""
    handed_over: list[tuple[Tensor, Tensor]] = []

    def stop(call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        if call.layer != layer:
            return call.computed()
        handed_over.append((call.query, call.key))
        raise ReadsServed  # the layers above are not asked

    ids, layout = right_padded([row])
    with rewritten(model, [], [f"attn_in.{layer}"], rewrite), attending(model, stop):
        model.forward_pass(ids, layout, logits=False)
    return handed_over[0]


def _norms(model: HookedModel, row: Row, layer: int) -> dict[nn.Module, LinearNorm]:
    """The norms inside a layer's attention that its queries and keys pass, known by what they do."""
    calls: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        taken = hidden_from_call(args, kwargs)
        if taken is not None and isinstance(output, Tensor) and taken.shape == output.shape:
            calls[module] = taken

    attention = model.engine.arch.attn_module(layer)
    handles = [
        module.register_forward_hook(note, with_kwargs=True)
        for module in attention.modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            _run(model, row, layer, lambda _, hidden, __: hidden)
    finally:
        for handle in handles:
            handle.remove()
    with torch.no_grad():
        return {
            module: _on(linear_norm(module, taken.shape[-1]), taken)
            for module, taken in calls.items()
            if _is_norm(module, taken)
        }


def _is_norm(module: nn.Module, taken: Tensor) -> bool:
    """Whether twice the input gives the same output, and the opposite input another."""
    once, twice, opposite = (module(taken * factor) for factor in (LARGE, 2 * LARGE, -LARGE))
    off = (once - twice).abs().max()
    return bool(off <= 1e-3 * once.abs().max()) and bool((once - opposite).abs().max() > off)


def _on(norm: LinearNorm, like: Tensor) -> LinearNorm:
    return LinearNorm(norm.weight.to(like.device), norm.bias.to(like.device), norm.centred)


@contextmanager
def _held(
    norms: Mapping[nn.Module, LinearNorm], scales: Mapping[nn.Module, list[Tensor]], *, known: bool
) -> Iterator[None]:
    """Hold the norms' scales: those of the pass itself, which are kept, or those kept (`known`)."""
    left = {module: iter(kept) for module, kept in scales.items()}

    def hold(norm: LinearNorm, module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> Tensor:
        taken = hidden_from_call(args, kwargs)
        assert taken is not None
        if not known:
            scales[module].append(norm.scale(taken.detach(), output.detach()))
        scale = next(left[module]) if known else scales[module][-1]
        return (norm.linear(taken.float()) * scale[..., None] + norm.bias).to(output.dtype)

    handles = [
        module.register_forward_hook(partial(hold, norm), with_kwargs=True) for module, norm in norms.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
