"""Controllers look on: they are shown what passed by, and their rows are ended or pushed as they say."""

from collections.abc import Sequence

import numpy as np

from mindscope.errors import ModelError
from mindscope.models.generation.control import ControllerReads, RowAction
from mindscope.models.generation.request import GenerationHandle
from mindscope.models.generation.slots import SlotTables
from mindscope.models.hooks.core import HookedModel


def consult_controllers(core: HookedModel, tables: SlotTables, *, may_wait: bool = False) -> None:
    """Show the controllers what passed by, and do as they say to the rows that go on."""
    pushed: list[int] = []
    for watch in tables.controllers.values():
        if may_wait and watch.may_wait():
            continue
        seen = watch.drain(tables.callers)
        if (broken := watch.group.broken) is not None:
            seen = seen.without(_refuse_broken(tables, watch, np.flatnonzero(broken).tolist()))
        if not seen.tables:
            continue
        try:
            commands = watch.controller.step(seen)
            core.check_edits(edit for command in commands.values() for edit in command.edits or ())
        except Exception as error:  # noqa: BLE001 - whose controller it was gets it back
            lines = _lines_of(tables, watch)
            for index in seen:
                tables.handle(lines[index]).error = error
            continue
        lines = _lines_of(tables, watch) if commands else {}
        pushed += [
            lines[i]
            for i, command in commands.items()
            if i in seen and _obey(tables.handle(lines[i]), command)
        ]
    if pushed:
        tables.push(pushed, [tables.handle(line).controller_edits.current for line in pushed])


def _lines_of(tables: SlotTables, watch: ControllerReads) -> dict[int, int]:
    """The lines of a controller's rows, by the indices of their requests."""
    requests = ((line, tables.handle(line).request) for line in tables.lines)
    return {own.index: line for line, own in requests if own.controller is watch.controller}


def _refuse_broken(tables: SlotTables, watch: ControllerReads, broken: Sequence[int]) -> set[int]:
    """Note the errors of a controller's rows among lines that are not finite; their indices."""
    refused: set[int] = set()
    for index, line in _lines_of(tables, watch).items():
        if line in broken:
            try:
                watch.group.require_finite(line)
            except ModelError as error:
                tables.handle(line).error = error
                refused.add(index)
    return refused


def _obey(handle: GenerationHandle, command: RowAction) -> bool:
    """Do to a row what its controller says; whether its pushes change."""
    if handle.finish is not None:
        return False
    if command.stop:
        handle.finish = "halted"
        return False
    if command.edits is None:
        return False
    handle.controller_edits.current = command.edits
    return True
