"""What a form of rows is: how it is told, how it is read, and what the table in the docs says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindscope.data.messages import ChatMessage
from mindscope.data.remarks import Remarks

Row = Mapping[str, Any]
"""A row without its null columns."""


@dataclass(frozen=True)
class FormReading:
    """The turns that a form gives for a row.

    Attributes:
        messages: the conversation, without a system prompt that stands in a column of its own.
        used: columns that are in it.
        rejected: the same conversation with the answer that was not preferred; empty where there is none.
    """

    messages: tuple[ChatMessage, ...]
    used: Sequence[str]
    rejected: tuple[ChatMessage, ...] = ()


@dataclass(frozen=True)
class RowForm:
    """A form in which people keep conversations, one a row.

    Attributes:
        name: the form's.
        about: whose it is, in a few words.
        columns: what a row has, as a person would write it.
        detect: whether a row is of the form, by its columns.
        read: its turns; DataError with the reason where it is malformed.
    """

    name: str
    about: str
    columns: str
    detect: Callable[[Row], bool]
    read: Callable[[Row, Remarks], FormReading]


def has(*names: str) -> Callable[[Row], bool]:
    """Whether a row has all of these columns."""
    return lambda row: all(name in row for name in names)
