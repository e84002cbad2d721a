"""What hangs on the model during a forward pass, and only then."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from interp_engine import EagerModel
from interp_engine.hooks import HookManager
from torch import Tensor, nn

from mindscope.core import order_names
from mindscope.errors import ModelError
from mindscope.models.hooks.edits import CompiledEdits
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.hooks.row_ropes import row_ropes
from mindscope.models.tokens.batch import BatchLayout, PositionIndex
from mindscope.models.tokens.call_layout import layout_of_call, name_arguments
from mindscope.models.tokens.rows import Positions


class ReadsServed(Exception):  # noqa: N818 - not an error: ends a pass whose reads have all been served
    """Raised from the last hook that something waits for, so that the rest of the model does not run."""


@dataclass(slots=True)
class ActivationTap:
    """One read of one batch: where, which tokens, and what takes them in.

    `take` is called with the chosen columns and the activations, `[rows, columns, width]`.
    """

    place: HookPoint
    where: Positions
    take: Callable[[PositionIndex, Tensor], object]


@contextmanager
def attached(
    layout: BatchLayout, steps: Sequence[CompiledEdits | Sequence[ActivationTap]], *, stop_when_served: bool
) -> Iterator[None]:
    """Hang writes (a program) and reads (taps) on the model for one forward pass.

    At one place they happen in the order of the steps, so taps read what the programs before them wrote.
    Everything is taken off again whatever happens inside.

    Raises:
        ModelError: a module that was waited for did not run, so an edit or a read would be silently lost.
    """
    waiting: set[tuple[int, str]] = set()  # reads not yet served: which step, and where
    unwritten: set[tuple[int, str]] = set()

    def write(program: CompiledEdits, place: HookPoint, key: tuple[int, str], hidden: Tensor) -> Tensor:
        unwritten.discard(key)
        return program.apply(place, hidden, layout)

    def read(taps: Sequence[ActivationTap], key: tuple[int, str], hidden: Tensor) -> None:
        tokens = None
        for tap in taps:
            chosen = layout.chosen(tap.where)
            if chosen.n_chosen:
                tokens = tap.place.tokens(hidden, *layout.positions.shape) if tokens is None else tokens
                tap.take(chosen, tokens)
        waiting.discard(key)
        if stop_when_served and not waiting:
            raise ReadsServed

    with HookManager() as hooks:
        # What a copy of the stream was given reaches the stream before anything else at the block's output.
        carried = {
            (number, place.address): _StreamCarry(place.behind, hooks)
            for number, step in enumerate(steps)
            if isinstance(step, CompiledEdits)
            for place in step.places.values()
            if place.behind is not None
        }
        for number, step in enumerate(steps):
            if isinstance(step, CompiledEdits):
                for place in step.places.values():
                    key = (number, place.address)
                    unwritten.add(key)
                    written = partial(write, step, place, key)
                    if key in carried:
                        written = partial(carried[key].keep, written)
                    hooks.write(place.module, written, point=place.side)
                continue
            taps_at: dict[str, list[ActivationTap]] = {}
            for tap in step:
                taps_at.setdefault(tap.place.address, []).append(tap)
            for address, taps in taps_at.items():
                key = (number, address)
                waiting.add(key)
                hooks.read(taps[0].place.module, partial(read, taps, key), point=taps[0].place.side)
        try:
            yield
        except ReadsServed:
            return
    if lost := sorted((address for _, address in waiting | unwritten), key=order_names):
        raise ModelError(f"{', '.join(lost)} did not run in this forward pass; choose another address")


class _StreamCarry:
    """Adds to a block's output what was written to a copy of the stream inside the block."""

    def __init__(self, behind: HookPoint, hooks: HookManager) -> None:
        self._change: Tensor | None = None
        hooks.write(behind.module, self._add, point=behind.side)

    def keep(self, write: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
        """Write, and remember what that changed."""
        edited = write(hidden)
        self._change = None if edited is hidden else edited - hidden
        return edited

    def _add(self, hidden: Tensor) -> Tensor:
        change, self._change = self._change, None
        return hidden if change is None else hidden + change


class ActiveEdits:
    """An `edited` block at work, for whoever must be sure of it while training goes on for hours."""

    def __init__(self) -> None:
        self._places: dict[str, HookPoint] = {}
        self._hooks: dict[str, set[int]] = {}
        self._n_edited: dict[str, int] = {}  # tokens since the last call of `require`, by address
        self._only: frozenset[str] | None = None
        self._before: dict[str, Tensor] | None = None

    @contextmanager
    def before(self) -> Iterator[dict[str, Tensor]]:
        """Hand out what comes to every address just before its edits, of the latest pass inside."""
        self._before = {}
        try:
            yield self._before
        finally:
            self._before = None

    @contextmanager
    def only(self, *addresses: str) -> Iterator[None]:
        """Inside, nothing is edited but these addresses; with none named, nothing at all."""
        before, self._only = self._only, frozenset(addresses)
        try:
            yield
        finally:
            self._only = before

    def require(self) -> None:
        """Fail unless tokens were edited at every address since the last call, and every hook still hangs.

        Raises:
            ModelError: a module of an edit has not run, no token was one that its edits mean, or something
                took a hook off.
        """
        if gone := [a for a, place in self._places.items() if not self._hooks[a] <= _hook_ids(place)]:
            raise ModelError(f"the edit at {', '.join(gone)} was taken off the model inside edited()")
        if lost := sorted(self._places.keys() - self._n_edited.keys(), key=order_names):
            raise ModelError(f"{', '.join(lost)} never ran, so nothing was edited there")
        if missed := sorted((address for address, n in self._n_edited.items() if not n), key=order_names):
            raise ModelError(
                f"no token was edited at {', '.join(missed)}: none that passed is one that its `where` means"
            )
        self._n_edited.clear()

    def _hang(
        self, place: HookPoint, write: Callable[[Tensor], tuple[Tensor, int]], hooks: HookManager
    ) -> None:
        def unless_paused(hidden: Tensor) -> Tensor:
            if self._only is not None and place.address not in self._only:
                return hidden
            if self._before is not None:
                self._before[place.address] = hidden.detach()
            edited, n_tokens = write(hidden)
            self._n_edited[place.address] = self._n_edited.get(place.address, 0) + n_tokens
            return edited

        before = _hook_ids(place)
        written = unless_paused
        if place.behind is not None:
            written = partial(_StreamCarry(place.behind, hooks).keep, unless_paused)
        hooks.write(place.module, written, point=place.side)
        self._places[place.address], self._hooks[place.address] = place, _hook_ids(place) - before


def _hook_ids(place: HookPoint) -> set[int]:
    return {*place.module._forward_hooks, *place.module._forward_pre_hooks}


@contextmanager
def watch_activations(places: Mapping[str, HookPoint]) -> Iterator[dict[str, Tensor]]:
    """See `HookedModel.watched`."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, hidden: Tensor) -> None:
        if hidden.ndim != 3:
            raise ModelError(
                f"{name} has shape {tuple(hidden.shape)}, not one vector per token: watch resid_post"
            )
        seen[name] = hidden

    with HookManager() as hooks:
        for name, place in places.items():
            hooks.read(place.module, partial(keep, name), point=place.side)
        yield seen


@contextmanager
def ambient_edits(
    engine: EagerModel,
    length_ropes: Sequence[nn.Module],
    compiled: Callable[[], CompiledEdits],
    own_pass: Callable[[], BatchLayout | None],
    prompts: np.ndarray | None,
    finals: np.ndarray | None,
    *,
    own_passes: bool,
) -> Iterator[ActiveEdits]:
    """Hang a program on every forward pass inside the block, whoever makes it.

    Args:
        engine: the model.
        length_ropes: its rotary modules that would let rows depend on their neighbours. In passes with a
            cache from outside they are left as they are: whoever keeps the cache decides for all its rows.
        compiled: makes the writes; made anew for every pass where their vectors are being trained.
        own_pass: the pass that one of our own methods is making just now, or None.
        prompts: the prompt lengths of the rows that passes made from outside have, where they are known.
        finals: where their final answers begin.
        own_passes: whether the program fits the rows of our own passes too.

    Raises:
        ModelError: a module of the program did not run in any pass made from outside.
    """
    # The latest pass made from outside. It outlives its forward: a checkpointed backward runs parts again.
    seen: list[BatchLayout] = []
    cached: list[bool] = []
    program, closed = compiled(), False
    unwritten = set(program.places)
    editing = ActiveEdits()

    def see(module: nn.Module, args: tuple, kwargs: dict) -> None:
        nonlocal program
        if program.learned:
            program = compiled()
        if own_pass() is not None:
            return
        arguments = name_arguments(module, args, kwargs)
        seen[:] = [layout_of_call(arguments, prompts, finals)]
        cached[:] = [arguments.get("past_key_values") is not None]

    def write(place: HookPoint, hidden: Tensor) -> tuple[Tensor, int]:
        layout = own_pass()
        if layout is not None and not own_passes:
            raise ModelError(
                "edits of single rows hold for one's own forward passes; give read() and generate() edits="
            )
        unwritten.discard(place.address)
        layout = layout or seen[0]
        edited = program.apply(place, hidden, layout)
        if edited.requires_grad and place.runs_again and engine.hf_model.is_activation_checkpointing:
            edited.register_hook(refuse_when_closed)
        return edited, program.count_tokens(place, layout)

    def refuse_when_closed(_gradient: Tensor) -> None:
        if closed:
            raise ModelError(
                "backward ran after the edited() block had ended, and activation checkpointing would compute "
                "the layers again without the edits; call backward inside the block"
            )

    def uncached() -> BatchLayout | None:
        return None if own_pass() is not None or cached[0] else seen[0]

    with HookManager() as hooks, row_ropes(length_ropes, uncached):
        handle = engine.arch.trunk.register_forward_pre_hook(see, with_kwargs=True)
        try:
            # Places in the middle of a block first: what they write reaches the block's output before others.
            for place in sorted(program.places.values(), key=lambda place: place.behind is None):
                editing._hang(place, partial(write, place), hooks)
            yield editing
            if seen and unwritten:
                raise ModelError(f"{', '.join(sorted(unwritten))} never ran, so nothing was edited there")
        finally:
            closed = True
            handle.remove()
