"""Acting on answers while they are written: who looks on, and what may be done to a row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.edits import Edit
from mindscope.models.hooks.read import Read, find_place
from mindscope.models.hooks.read_group import ReadGroup
from mindscope.models.hooks.reduce import Last, Mean


@dataclass(frozen=True, slots=True)
class RowAction:
    """What is to happen to a row from its next token on.

    Attributes:
        stop: end the answer here; its `finish` is "halted".
        edits: pushes on every token from now on, in place of those before; None leaves them as they are.
            Their `where` must be "all".
    """

    stop: bool = False
    edits: tuple[Edit, ...] | None = None

    def __post_init__(self) -> None:
        if any(edit.where != "all" for edit in self.edits or ()):
            raise ModelError(
                "a controller's edits hold for every token until it changes them: use where='all'"
            )


@runtime_checkable
class Controller(Protocol):
    """Looks on while answers are written, and may end a row or push it, without touching its neighbours."""

    @property
    def reads(self) -> Mapping[str, Read]:
        """What to look at: `Project`, `Apply` or `Raw`.

        At an address that the controller pushes, it sees what the row's own edits left and not its own push.
        """
        ...

    def step(self, seen: Mapping[int, Mapping[str, Tensor]]) -> Mapping[int, RowAction]:
        """Called after every forward pass.

        Args:
            seen: by row, what each read found since the last call, `[tokens, k]` on the CPU; rows and reads
                without new tokens are left out. The first call is of the prompt's tokens.

        Returns:
            What to do, for the rows about which anything is to be done.
        """
        ...


class ControllerEdits:
    """The pushes on one row: those that hold now, and where the earlier ones did."""

    def __init__(self) -> None:
        self.current: tuple[Edit, ...] = ()
        self._places: dict[int, tuple[Edit, list[int]]] = {}

    def passed(self, position: int) -> None:
        """The token at this position of the row went through the model under the pushes that hold now."""
        for edit in self.current:
            self._places.setdefault(id(edit), (edit, []))[1].append(position)

    def record(self) -> tuple[Edit, ...]:
        """All that was pushed, as edits at explicit positions: read under them, the row is as it was."""
        return tuple(replace(edit, where=tuple(at)) for edit, at in self._places.values())


@dataclass(slots=True)
class ControllerReads:
    """A controller and what it sees of the rows of a batch."""

    controller: Controller
    group: ReadGroup


def require_watchable(core: HookedModel, controller: Controller) -> None:
    """Refuse a controller whose reads do not fit.

    Raises:
        ModelError: an address or width is not the model's, or what it wants is known at the end alone.
    """
    for name, read in controller.reads.items():
        find_place(core, read)
        if isinstance(read.reduce, Mean | Last):
            raise ModelError(f"a controller cannot watch {name}: read it with Project, Apply or Raw")
