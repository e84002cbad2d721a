"""One prompt with what makes a model nonlinear between its MLPs held: attention patterns, norms' scales.

With patterns and scales as they were on a prompt, everything between the MLPs is linear in what the MLPs
wrote (Ameisen et al. 2025, "Circuit Tracing"; Elhage et al. 2021 for the patterns). Two steps:

1. `freeze` runs the prompt once and keeps every layer's pattern and every norm's scale: by how much it
   multiplied each token, once its weight and bias are left aside.
2. `frozen` holds them in any later pass: the attention function mixes values by the kept pattern instead of
   looking, and a norm multiplies by its kept scale instead of measuring. In a batch each row has those of its
   own pass, wherever padding put it; tokens that were generated since attend and are normed as ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from interp_engine.hooks import HookManager, hidden_from_call
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.norms import LinearNorm
from mindscope.models.hooks.rewrite import rewritten
from mindscope.models.linear.anatomy import find_linear_parts
from mindscope.models.linear.patterns import AttentionCall, AttentionRecord, attending, recorded_attention
from mindscope.models.tokens.batch import BatchLayout, right_padded
from mindscope.models.tokens.rows import Row

KEPT_BYTES = 2**30
"""The most that patterns of all layers may take in float32: those of 1,672 tokens at 12 layers of 8 heads.
Making them again costs a few per cent of what is done with them where rows are many."""


@dataclass(frozen=True, slots=True, eq=False)
class FrozenPass:
    """What one forward pass of one row had, in float32 on the model's device.

    Attributes:
        row: the row.
        attention: one a layer, see `AttentionRecord`; `.pattern` is `[1, heads, tokens, tokens]`. Where all
            patterns together are larger than `KEPT_BYTES` they are made again when they are used.
        scales: of every norm, by the address of what it gives out (`attn_in.3`, `attn_out_post.3`,
            `mlp_in.3`, `mlp_out_post.3`, `final_norm`): what each token was multiplied by, `[tokens]`.
        activations: what was asked for, by address, `[tokens, width]`.
        logits: of the token after the row.
    """

    row: Row
    attention: tuple[AttentionRecord, ...]
    scales: Mapping[str, Float[Tensor, "tokens"]]
    activations: Mapping[str, Float[Tensor, "tokens _"]]
    logits: Float[Tensor, "vocabulary"]

    @property
    def patterns(self) -> tuple[Float[Tensor, "heads tokens tokens"], ...]:
        """The attention patterns, one a layer."""
        return tuple(record.pattern[0] for record in self.attention)


@torch.no_grad()
def freeze(model: HookedModel, row: Row, reads: Sequence[str] = ()) -> FrozenPass:
    """Run a row once, and keep its patterns, its norms' scales and what is at `reads`.

    Raises:
        ModelError: the row is empty or too long, an address leads nowhere, or the architecture does not
            attend through transformers' attention interface.
    """
    model.check_rows([row], filled=True)
    parts, ids, layout = find_linear_parts(model), *right_padded([row])
    scales: dict[str, Tensor] = {}
    activations: dict[str, Tensor] = {}

    def keep(address: str, hidden: Tensor) -> None:
        activations[address] = model.place(address).tokens(hidden, 1, len(row))[0].detach().float().clone()

    def scale(address: str, _module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
        taken = hidden_from_call(args, kwargs)
        assert taken is not None
        scales[address] = parts.norms[address].scale(taken, output).reshape(-1)

    with recorded_attention(model, keep=_fit_in_memory(model, len(row))) as attended, HookManager() as hooks:
        for address in reads:
            place = model.place(address)
            hooks.read(place.module, partial(keep, address), point=place.side)
        handles = [
            module.register_forward_hook(partial(scale, address), with_kwargs=True)
            for address, module in parts.modules.items()
        ]
        try:
            logits = model.forward_pass(ids, layout, logits=True)
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


def _fit_in_memory(model: HookedModel, n_tokens: int) -> bool:
    """Whether the patterns of a row are small enough to be kept."""
    heads = model.hf.config.get_text_config().num_attention_heads
    return 4 * model.n_layers * heads * n_tokens**2 <= KEPT_BYTES


class FrozenPasses:
    """Passes of distinct rows, and which of them each row of a batch is.

    Attributes:
        passes: one a distinct row.
        pass_of: `[rows]`, which pass is of which of the caller's rows.
        lengths: `[passes]`, how many tokens each has.
    """

    def __init__(self, passes: Sequence[FrozenPass], pass_of: Sequence[int]):
        self.passes, self.pass_of = tuple(passes), np.array(pass_of)
        self.lengths = np.array([len(frozen_pass.row) for frozen_pass in passes])

    def where(self, layout: BatchLayout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the tokens of a forward pass are in the passes.

        Returns:
            `[lines]` passes, `[lines, columns]` positions, and which of these `[lines, columns]` are known:
            neither padding nor generated since.
        """
        which = self.pass_of[layout.whose(len(self.pass_of))]
        known = (layout.positions >= 0) & (layout.positions < self.lengths[which][:, None])
        return which, np.where(known, layout.positions, 0), known

    def of(
        self,
        recorded: Float[Tensor, "passes tokens _"],
        passing: Float[Tensor, "lines columns _"],
        layout: BatchLayout,
    ) -> Float[Tensor, "lines columns _"]:
        """What was recorded of each token of a forward pass; of a token not known, what passes by."""
        which, positions, known = self.where(layout)
        index = (which[:, None], positions, known[..., None])
        passes, positions, known = (torch.from_numpy(array).to(passing.device) for array in index)
        return torch.where(known, recorded[passes, positions].to(passing), passing)


class _SinglePass(FrozenPasses):
    """One pass that all rows are of."""

    def __init__(self, frozen_pass: FrozenPass):
        super().__init__([frozen_pass], [0])

    def where(self, layout: BatchLayout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `FrozenPasses.where`."""
        rows, columns = layout.positions.shape
        if columns != self.lengths[0]:
            raise ModelError(
                f"patterns of {self.lengths[0]} tokens cannot be held in a pass of {columns} tokens: they "
                "belong to one prompt"
            )
        return np.zeros(rows, int), np.maximum(layout.positions, 0), layout.positions >= 0


@contextmanager
def frozen(model: HookedModel, held: FrozenPass | FrozenPasses, *, norms: bool = True) -> Iterator[None]:
    """In the block every known token attends, and is normed, as it was in its row's own pass.

    Args:
        model: the model.
        held: one pass, which every row of every forward pass in the block is of. Or passes of many rows:
            padding may be on either side, rows may leave the batch, and tokens generated since are as ever.
        norms: whether norms' scales are held, besides attention patterns.

    Raises:
        ModelError: a forward pass of other rows, or an architecture that does not attend through
            transformers' attention interface.
    """
    if isinstance(held, FrozenPass):
        held = _SinglePass(held)
    parts = find_linear_parts(model)
    size = int(held.lengths.max())
    # By layer, passes x heads x queries x keys, padded to the longest row; below, passes x tokens of scales.
    patterns = [
        torch.cat(
            [
                pad(frozen_pass.attention[layer].pattern, (0, size - n, 0, size - n))
                for frozen_pass, n in _lengths(held)
            ]
        )
        for layer in range(model.n_layers)
    ]
    scales = {
        name: pad_sequence([frozen_pass.scales[name] for frozen_pass in held.passes], batch_first=True)
        for name in (parts.modules if norms else ())
    }

    def attend(call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        assert passing.layout is not None
        which, queries, known = held.where(passing.layout)
        if not known.any():
            return call.computed()
        # A line of the batch is a row's tokens in columns of its own; the kept pattern is by position. So
        # queries and keys are looked up by position, and padding looks at position 0 with weight 0.
        keys = _positions_of_keys(passing.layout, call.value.shape[2])
        seen = (keys >= 0) & (keys < held.lengths[which][:, None])
        index = (which[:, None, None], queries[:, :, None], np.where(seen, keys, 0)[:, None])
        passes, rows, columns, there = (
            torch.from_numpy(array).to(call.value.device) for array in (*index, seen)
        )
        kept = patterns[call.layer][passes, :, rows, columns].movedim(-1, 1)  # lines x heads x columns x keys
        pattern = (kept * there[:, None, None]).to(call.value)
        # A weight of 0 does not silence a value that is not finite, as padding may hold.
        output = _mixed(pattern, call.value.masked_fill(~there[:, None, :, None], 0))
        if (known | (passing.layout.positions < 0)).all():
            return output, pattern
        # Some tokens were generated since: they look for themselves, and only the known ones are held.
        ours = torch.from_numpy(known).to(kept.device)[..., None, None]
        return torch.where(ours, output, call.computed()[0]), None

    def hold(
        norm: LinearNorm, scale: Tensor, _module: nn.Module, args: tuple, kwargs: dict, output: Tensor
    ) -> Tensor:
        taken = hidden_from_call(args, kwargs)
        assert taken is not None
        assert passing.layout is not None
        which, positions, known = held.where(passing.layout)
        kept, ours = scale[which[:, None], positions], torch.from_numpy(known).to(scale.device)
        # Some modules hand norms `[tokens, width]` without rows: both are brought to the output's shape.
        ours, kept = (array[..., None].expand(*known.shape, output.shape[-1]) for array in (ours, kept))
        linear = norm.linear(taken.float()) * kept.reshape(output.shape) + norm.bias
        return torch.where(ours.reshape(output.shape), linear.to(output.dtype), output)

    with rewritten(model, [], [], lambda _, hidden, __: hidden) as passing, attending(model, attend):
        handles = [
            parts.modules[name].register_forward_hook(
                partial(hold, parts.norms[name], scale), with_kwargs=True
            )
            for name, scale in scales.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _lengths(held: FrozenPasses) -> Iterator[tuple[FrozenPass, int]]:
    return zip(held.passes, held.lengths.tolist(), strict=True)


def _positions_of_keys(layout: BatchLayout, keys: int) -> np.ndarray:
    """`[lines, keys]`: of the columns, with a cache of those before the newest too; negative: padding."""
    columns = layout.positions.shape[1]
    if keys == columns:
        return layout.positions
    # With a cache padding is on the left, so columns count on from each other to the last.
    return layout.positions[:, -1:] - np.arange(keys)[::-1]


def _mixed(
    pattern: Float[Tensor, "lines heads columns keys"], value: Float[Tensor, "lines kv_heads keys size"]
) -> Float[Tensor, "lines columns heads size"]:
    """Values mixed by patterns; heads share values in groups."""
    shared = pattern.unflatten(1, (value.shape[1], -1)) @ value[:, :, None]
    return shared.flatten(1, 2).transpose(1, 2).contiguous()
