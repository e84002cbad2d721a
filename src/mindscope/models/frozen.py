"""One prompt with what makes a model nonlinear between its MLPs held: attention patterns, norms' scales."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from interp_engine.hooks import HookManager, hidden_from_call
from jaxtyping import Float
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.core import Core
from mindscope.models.linear import anatomy
from mindscope.models.norms import LinearNorm
from mindscope.models.passes import right_padded
from mindscope.models.patterns import Attended, frozen_attention, recorded_attention
from mindscope.models.rows import Row


@dataclass(frozen=True, slots=True, eq=False)
class FrozenPass:
    """What one forward pass of one row had, in float32 on the model's device.

    Attributes:
        row: the row.
        attention: one a layer, see `Attended`; `.pattern` is `[1, heads, tokens, tokens]`.
        scales: of every norm, by the address of what it gives out (`attn_in.3`, `attn_out_post.3`,
            `mlp_in.3`, `mlp_out_post.3`, `final_norm`): what each token was multiplied by, `[tokens]`.
        activations: what was asked for, by address, `[tokens, width]`.
        logits: of the token after the row.
    """

    row: Row
    attention: tuple[Attended, ...]
    scales: Mapping[str, Float[Tensor, "tokens"]]
    activations: Mapping[str, Float[Tensor, "tokens _"]]
    logits: Float[Tensor, "vocabulary"]

    @property
    def patterns(self) -> tuple[Float[Tensor, "heads tokens tokens"], ...]:
        """The attention patterns, one a layer."""
        return tuple(one.pattern[0] for one in self.attention)


@torch.no_grad()
def freeze(model: Core, row: Row, reads: Sequence[str] = ()) -> FrozenPass:
    """Run a row once, and keep its patterns, its norms' scales and what is at `reads`.

    Raises:
        ModelError: the row is empty or too long, an address leads nowhere, or the architecture does not
            attend through transformers' attention interface.
    """
    model.check_rows([row], filled=True)
    parts, ids, now = anatomy(model), *right_padded([row])
    scales: dict[str, Tensor] = {}
    activations: dict[str, Tensor] = {}

    def keep(address: str, hidden: Tensor) -> None:
        activations[address] = model.place(address).tokens(hidden, 1, len(row))[0].detach().float().clone()

    def scale(address: str, _module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
        taken = hidden_from_call(args, kwargs)
        assert taken is not None
        scales[address] = parts.norms[address].scale(taken, output).reshape(-1)

    with recorded_attention(model) as attended, HookManager() as hooks:
        for address in reads:
            place = model.place(address)
            hooks.read(place.module, partial(keep, address), point=place.side)
        handles = [
            module.register_forward_hook(partial(scale, address), with_kwargs=True)
            for address, module in parts.modules.items()
        ]
        try:
            logits = model.forward_pass(ids, now, None, [], logits=True)
        finally:
            for handle in handles:
                handle.remove()
    assert logits is not None
    if lost := sorted((set(reads) - set(activations)) | (parts.modules.keys() - set(scales))):
        raise ModelError(f"{', '.join(lost)} did not run in this forward pass; choose another address")
    return FrozenPass(
        row,
        tuple(attended[layer] for layer in range(model.n_layers)),
        scales,
        activations,
        logits[0].float(),
    )


@contextmanager
def frozen(
    model: Core, held: FrozenPass, *, patterns: bool = True, norms: bool | Collection[str] = True
) -> Iterator[None]:
    """In the block every forward pass has the patterns and the norms' scales of `held`.

    Args:
        model: the model that `held` is of.
        held: one row's pass. Passes in the block have rows of as many tokens.
        patterns: whether attention patterns are held.
        norms: whether norms' scales are; or which, by the names of `FrozenPass.scales`.

    Raises:
        ModelError: a pass of another length, or a norm that is not there.
    """
    parts = anatomy(model)
    names = held.scales.keys() if norms is True else set(norms or ())
    if unknown := sorted(set(names) - held.scales.keys()):
        raise ModelError(f"{model.name} has no norm at {unknown[0]}")

    def hold(
        norm: LinearNorm, scale: Tensor, _module: nn.Module, args: tuple, kwargs: dict, output: Tensor
    ) -> Tensor:
        taken = hidden_from_call(args, kwargs)
        assert taken is not None
        if taken.shape[-2] != len(scale):
            raise ModelError(
                f"scales of {len(scale)} tokens cannot be held in a pass of {taken.shape[-2]} tokens: they "
                "belong to one prompt"
            )
        return (norm.linear(taken.float()) * scale[:, None] + norm.bias).to(output.dtype)

    nothing: list[Tensor | None] = [None] * model.n_layers
    with frozen_attention(model, held.patterns if patterns else nothing):
        handles = [
            parts.modules[name].register_forward_hook(
                partial(hold, parts.norms[name], held.scales[name]), with_kwargs=True
            )
            for name in names
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
