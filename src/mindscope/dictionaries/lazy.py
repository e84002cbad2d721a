"""Coders that stay on disk."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, overload

from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.fit import require_coder_fits

if TYPE_CHECKING:
    from mindscope.dictionaries.dictionary import Dictionary

    Coders = Sequence[Coder]
else:
    Coders = Sequence  # a run-time type checker that knew the items' type would read one to check it


class LazyCoders(Coders):
    """Coders that are read when they are asked for, and of which none is kept.

    Attributes:
        owner: the dictionary whose wiring each of them must fit; set once there is one.
    """

    def __init__(self, count: int, read: Callable[[int], Coder]):
        self._count, self._read = count, read
        self.owner: Dictionary | None = None

    def __len__(self) -> int:
        return self._count

    def mapped(self, change: Callable[[Coder], Coder]) -> "LazyCoders":
        """Coders that are changed when they are read: moved to a device, for example."""
        return LazyCoders(self._count, lambda index: change(self[index]))

    @overload
    def __getitem__(self, index: int) -> Coder: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Coder, ...]: ...
    def __getitem__(self, index: int | slice) -> Coder | tuple[Coder, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        number = range(len(self))[index]  # IndexError ends an iteration
        coder = self._read(number)
        if self.owner is not None:
            require_coder_fits(self.owner, number, coder)
        return coder
