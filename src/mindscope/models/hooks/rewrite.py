"""Replacing what a model computes by a function of what it computed before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from interp_engine.hooks import HookManager
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.tokens.batch import BatchLayout
from mindscope.models.tokens.call_layout import layout_of_call, name_arguments

Rewrite = Callable[[str, Tensor, Mapping[str, Tensor]], Tensor]
"""Called with an address, what is there `[rows, columns, width]`, and what was read so far in this pass, by
address, a mapping of this pass alone; gives what is to be there instead."""


@dataclass(slots=True)
class RewrittenPass:
    """The forward pass that is going on, or was last.

    Attributes:
        layout: which token stands in each column.
        seen: what was read in it so far, `[rows, columns, width]` by address.
    """

    layout: BatchLayout | None = None
    seen: Mapping[str, Tensor] = field(default_factory=dict)


@contextmanager
def rewritten(
    model: HookedModel, reads: Sequence[str], writes: Sequence[str], rewrite: Rewrite
) -> Iterator[RewrittenPass]:
    """Replace the activations at `writes`, in every forward pass inside the block.

    Of passes of one's own (`model.hf(**model.batch(rows))`) as of `model.read`, `generate` and `next_logits`.
    What is read is what passes by, after any rewriting before it; at an address that is read and written it
    is what was there before. Padding passes through `rewrite` too. No hook stays behind.

    Raises:
        ModelError: an address is not a place, cannot be written, or its module did not run.
    """
    read_at, write_at = ({name: model.place(name) for name in names} for names in (reads, writes))
    for name, place in write_at.items():
        if place.part is not None or ":" in place.side:
            raise ModelError(f"{name} can be read but not written in this model: it cannot be replaced")
    seen: dict[str, Tensor] = {}
    shape = [0, 0]
    passing = RewrittenPass()
    ran: set[str] = set()

    def begin(module: nn.Module, args: tuple, kwargs: dict) -> None:
        nonlocal seen
        own = model.current_pass
        layout = own if own is not None else layout_of_call(name_arguments(module, args, kwargs), None)
        passing.layout = layout
        shape[:] = layout.positions.shape
        seen = passing.seen = {}
        ran.clear()

    def end(_module: nn.Module, _args: tuple, _output: object) -> None:  # not reached where a pass ends early
        if lost := sorted(inside - ran):
            raise ModelError(f"{', '.join(lost)} never ran, so nothing was replaced there")

    def keep(place: HookPoint, hidden: Tensor) -> None:
        seen[place.address] = place.tokens(hidden, *shape)

    def replace(place: HookPoint, hidden: Tensor) -> Tensor:
        tokens = place.tokens(hidden, *shape)
        if place.address in read_at:
            seen[place.address] = tokens
        ran.add(place.address)
        return place.laid_out(rewrite(place.address, tokens, seen).to(hidden.dtype), hidden)

    trunk, head = model.engine.arch.trunk, model.engine.arch.lm_head
    inside = {name for name, place in write_at.items() if place.module is not head}
    with model.edited([]), HookManager() as hooks:  # holds the model for this thread
        handles = [trunk.register_forward_pre_hook(begin, with_kwargs=True), trunk.register_forward_hook(end)]
        try:
            for name, place in read_at.items():
                if name not in write_at:
                    hooks.read(place.module, partial(keep, place), point=place.side)
            for place in write_at.values():
                hooks.write(place.module, partial(replace, place), point=place.side)
            yield passing
        finally:
            for handle in handles:
                handle.remove()
