"""What hangs on the model during one forward pass, and only then."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from interp_engine.hooks import HookManager
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.addresses import Place
from mindscope.models.edits import Program
from mindscope.models.passes import Pass, pass_of_call
from mindscope.models.reduce import Sink
from mindscope.models.rows import Where

if TYPE_CHECKING:
    from mindscope.models.model import Model


class Served(Exception):  # noqa: N818 - not an error: ends a pass whose reads have all been served
    """Raised from the last hook that something waits for, so that the rest of the model does not run."""


@dataclass(slots=True)
class Tap:
    """One read of one batch: where, which tokens, and what gathers them."""

    place: Place
    where: Where | tuple[int, ...]
    sink: Sink


@contextmanager
def attached(
    now: Pass, slots: np.ndarray, program: Program | None, taps: Sequence[Tap], *, stop_when_served: bool
) -> Iterator[None]:
    """Hang a program's writes and a batch's taps on the model for one forward pass.

    Writes come first, so a tap at an edited place reads the edited activations. Everything is taken off
    again whatever happens inside.

    Raises:
        ModelError: a module that was waited for did not run, so an edit or read would be silently lost.
    """
    waiting = {tap.place.address for tap in taps}
    unwritten = set(program.places) if program else set()

    def write(place: Place, hidden: Tensor) -> Tensor:
        assert program is not None
        unwritten.discard(place.address)
        return program.apply(place.address, hidden, now)

    def read(place: Place, mine: Sequence[Tap], hidden: Tensor) -> None:
        tokens = place.tokens(hidden, *now.positions.shape)
        for tap in mine:
            mask = now.mask(tap.where)
            if mask.any():
                tap.sink.take(slots, tokens, mask)
        waiting.discard(place.address)
        if stop_when_served and not waiting:
            raise Served

    with HookManager() as hooks:
        if program is not None:
            for place in program.places.values():
                hooks.write(place.module, partial(write, place), point=place.side)
        for address in dict.fromkeys(tap.place.address for tap in taps):
            mine = [tap for tap in taps if tap.place.address == address]
            hooks.read(mine[0].place.module, partial(read, mine[0].place, mine), point=mine[0].place.side)
        try:
            yield
        except Served:
            return
    if lost := sorted(waiting | unwritten):
        raise ModelError(f"{', '.join(lost)} did not run in this forward pass; choose another address")


@contextmanager
def ambient(model: "Model", program: Program) -> Iterator[None]:
    """Hang a program on every forward pass inside the block, whoever makes it."""
    outside: list[Pass] = []

    def see(_module: nn.Module, args: tuple, kwargs: dict) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        ids = kwargs.get("inputs_embeds") if ids is None else ids
        assert isinstance(ids, Tensor)
        outside[:] = [pass_of_call(ids, kwargs.get("attention_mask"))]

    def write(place: Place, hidden: Tensor) -> Tensor:
        return program.apply(place.address, hidden, model._now or outside[0])

    with HookManager() as hooks:
        handle = model.engine.arch.trunk.register_forward_pre_hook(see, with_kwargs=True)
        try:
            for place in program.places.values():
                hooks.write(place.module, partial(write, place), point=place.side)
            yield
        finally:
            handle.remove()
