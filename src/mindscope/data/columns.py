"""Columns by other names: what `--columns` says, and rows with it carried out."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindscope.data.messages import CONTENT_KEYS, ROLE_KEYS
from mindscope.errors import DataError

COLUMNS = (
    "messages", "conversations", "prompt", "completion", "question", "answer", "instruction", "input",
    "output", "chosen", "rejected", "system", "history", "text", "label", "id",
)  # fmt: skip
"""Columns that rows are read by."""
TURN_COLUMNS = ("role", "content")
"""Keys of turns."""


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """Ours to theirs, out of `OURS=THEIRS`; THEIRS may lead inside, as in `messages=request.turns`.

    Raises:
        DataError: it is not of that form, or OURS is no column.
    """
    columns: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not equals or not theirs or ours not in (*COLUMNS, *TURN_COLUMNS):
            known = ", ".join((*COLUMNS, *TURN_COLUMNS))
            raise DataError(
                f"--columns {text}: write OURS=THEIRS, such as answer=reply; OURS is one of {known}"
            )
        columns[ours] = theirs
    return columns


def rename_columns(row: Any, columns: Mapping[str, str]) -> Any:
    """The row with the columns that it has under their own names; what is no object stays as it is."""
    if not columns or not isinstance(row, Mapping):
        return row
    renamed = dict(row)
    for ours, theirs in columns.items():
        if ours in TURN_COLUMNS:
            renamed = {name: _rename_turns(value, ours, theirs) for name, value in renamed.items()}
        elif theirs in row:
            renamed.pop(theirs, None)
            renamed[ours] = row[theirs]
        elif (inner := _inner(row, theirs)) is not None:
            renamed.pop(theirs.partition(".")[0], None)
            renamed[ours] = inner
    return renamed


def has_column(row: Any, ours: str, theirs: str) -> bool:
    """Whether a row has a column, or turns with a key, by their name."""
    if not isinstance(row, Mapping):
        return False
    if ours in TURN_COLUMNS:
        return any(
            isinstance(turn, Mapping) and theirs in turn
            for value in row.values()
            if isinstance(value, list)
            for turn in value
        )
    return theirs in row or _inner(row, theirs) is not None


def _inner(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _rename_turns(value: Any, ours: str, theirs: str) -> Any:
    """Turns with a key under our name; other names of the same key give way to it."""
    if not isinstance(value, list) or not any(isinstance(turn, Mapping) and theirs in turn for turn in value):
        return value
    others = {*(ROLE_KEYS if ours == "role" else CONTENT_KEYS), theirs}
    return [
        {ours: turn[theirs], **{key: held for key, held in turn.items() if key not in others}}
        if isinstance(turn, Mapping) and theirs in turn
        else turn
        for turn in value
    ]
