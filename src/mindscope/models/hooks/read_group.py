"""The reads that rows of a batch share: the means of all addresses in one buffer, fetched in one transfer."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.attach import ActivationTap
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.hooks.reduce import (
    Last,
    LastCollector,
    Mean,
    MeanCollector,
    Reduction,
    TokenCollector,
    build_token_collector,
)

Collector = MeanCollector | LastCollector | TokenCollector


class ReadGroup:
    """What is read of the rows of a batch, by name.

    Reads that differ in their address alone are one sink: `[addresses, rows, width]`.

    Attributes:
        taps: where it hangs.
    """

    def __init__(self, core: HookedModel, wanted: Mapping[str, tuple[HookPoint, Reduction]], n_rows: int):
        self._core, self._wanted = core, wanted
        self._at: dict[str, tuple[Collector, int]] = {}
        self.taps: list[ActivationTap] = []
        alike: dict[tuple[type, object, int], list[str]] = {}
        for name, (place, reduction) in wanted.items():
            width = core.width(place)
            if isinstance(reduction, Mean | Last):
                alike.setdefault((type(reduction), reduction.where, width), []).append(name)
            else:
                sink = build_token_collector(reduction, n_rows, width, core.device)
                self._at[name] = (sink, 0)
                self.taps.append(ActivationTap(place, reduction.where, sink.take))
        for (kind, _, width), names in alike.items():
            sink = (MeanCollector if kind is Mean else LastCollector)(len(names), n_rows, width, core.device)
            for address, name in enumerate(names):
                place, reduction = wanted[name]
                self._at[name] = (sink, address)
                self.taps.append(ActivationTap(place, reduction.where, partial(sink.take, address)))
        self._sinks = list({id(sink): sink for sink, _ in self._at.values()}.values())

    def of_row(self, row: int) -> dict[str, Tensor]:
        """All that was read of one row, float32 on the CPU.

        Raises:
            ModelError: the model's activations are not finite there.
        """
        fetched = {id(sink): sink.of_row(row) for sink in self._sinks}
        values = {
            name: fetched[id(sink)] if isinstance(sink, TokenCollector) else fetched[id(sink)][address]
            for name, (sink, address) in ((name, self._at[name]) for name in self._wanted)
        }
        for name, (sink, _) in self._at.items():
            if (
                not isinstance(sink, TokenCollector)
                and sink.counts[row]
                and not values[name].isfinite().all()
            ):
                raise _not_finite(self._core, self._wanted[name][0])
        self.require_finite(row)
        return values

    def of_rows(self, name: str) -> Tensor | list[Tensor]:
        """What one read found, by row.

        Raises:
            ModelError: the model's activations are not finite there.
        """
        sink, address = self._at[name]
        if isinstance(sink, TokenCollector):
            values = sink.of_rows()
            finite = not sink.broken.any()
        else:
            values = sink.of_rows(address)
            finite = bool(values[torch.from_numpy(sink.counts > 0)].isfinite().all())
        if not finite:
            raise _not_finite(self._core, self._wanted[name][0])
        return values

    def require_finite(self, row: int) -> None:
        """Refuse a row that was read token by token and of which the model made numbers that are none.

        Raises:
            ModelError: names the first address where they are.
        """
        for name, (sink, _) in self._at.items():
            if isinstance(sink, TokenCollector) and sink.broken[row]:
                raise _not_finite(self._core, self._wanted[name][0])

    @property
    def broken(self) -> np.ndarray | None:
        """`[rows]`, those that `require_finite` refuses; None where there are none."""
        marks = [sink.broken for sink in self._sinks if isinstance(sink, TokenCollector)]
        if not any(mark.any() for mark in marks):
            return None
        return np.logical_or.reduce(marks)

    def drain(self) -> dict[str, tuple[np.ndarray, Tensor]]:
        """The tokens that came since the last call, which are then forgotten.

        Returns:
            For each read that has any, how many tokens each row had, `[rows]`, and these row by row.
        """
        drained: dict[str, tuple[np.ndarray, Tensor]] = {}
        for name, (sink, _) in self._at.items():
            if isinstance(sink, TokenCollector) and (new := sink.drain()) is not None:
                drained[name] = new
        return drained

    def blank(self, n_rows: int) -> "ReadGroup":
        """The same reads of other rows, none of which takes part yet."""
        group = ReadGroup(self._core, self._wanted, n_rows)
        group.restrict(np.zeros(n_rows, bool))
        return group

    def restrict(self, members: np.ndarray) -> None:
        """Take tokens of these rows alone, `[rows]`. Means of the others are kept up and not looked at."""
        for sink in self._sinks:
            if isinstance(sink, TokenCollector):
                sink.members = sink.members & members

    def rearrange(self, kept: np.ndarray, n_blank: int) -> None:
        """Keep some rows in a new order, and append blank ones."""
        for sink in self._sinks:
            sink.rearrange(kept, n_blank)

    def put(self, rows: np.ndarray, other: "ReadGroup") -> None:
        """Let rows of another batch, with the same reads, take the places of these."""
        for sink, new in zip(self._sinks, other._sinks, strict=True):
            sink.put(rows, new)  # pyright: ignore[reportArgumentType] - the same reads make the same sinks


def _not_finite(core: HookedModel, place: HookPoint) -> ModelError:
    return ModelError(
        f"the model's activations hold NaN or infinity at {place.address}, in {str(core.dtype)[6:]}: "
        "load it in float32 (dtype='float32'), or use smaller edit values"
    )
