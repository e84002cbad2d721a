"""One conversation, and how a row of a file becomes one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindscope.data.forms import RowForm, detect
from mindscope.data.forms.chats import say_tools
from mindscope.data.forms.pairs import PROMPT_ONLY
from mindscope.data.messages import ChatMessage, kind_of, read_text
from mindscope.data.remarks import APART, DROPPED, REJECTED, UNREAD, Remarks, one_line
from mindscope.errors import DataError

SYSTEMS = ("system", "system_prompt")
"""Columns with a system prompt beside the conversation."""
MEDIA = {"images": "images", "image": "images", "videos": "videos", "audios": "sounds", "audio": "sounds"}
"""Columns with what is no text, and what it is called."""
NAMES = ("id", "conversation_id", "conversation_hash")
"""Columns that name a row; they are read where a row is shown."""


@dataclass(frozen=True)
class Conversation:
    """Turns in order, and whatever else the row said."""

    messages: tuple[ChatMessage, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    rejected: tuple[ChatMessage, ...] = ()
    """The conversation with the answer that was not preferred; empty where the row has one answer only."""
    form: str = ""
    """Which form the row had."""
    remarks: tuple[str, ...] = ()
    """What was not read of the row, or was written otherwise."""

    @property
    def prompt(self) -> tuple[ChatMessage, ...]:
        """The turns that the answer answers: all but a last one of the assistant."""
        return self.messages if self.answer is None else self.messages[:-1]

    @property
    def answer(self) -> str | None:
        """What the assistant says last; `None` where the last word is the user's."""
        last = self.messages[-1]
        return last["content"] if last["role"] == "assistant" else None

    @property
    def reasoning(self) -> str | None:
        """What the assistant thought before that, where the row tells it apart."""
        return self.messages[-1].get("reasoning")

    def as_rejected(self) -> "Conversation":
        """The same row with the answer that was not preferred.

        Raises:
            DataError: there is none.
        """
        if not self.rejected:
            raise DataError("the row has no rejected answer")
        return Conversation(self.rejected, self.meta, form=self.form)


def parse_conversation(row: Any) -> Conversation:
    """Read one row of any form of `data.FORMS`; columns that are not in the turns become `meta`.

    A column that is null counts as absent. A column of :data:`SYSTEMS` is the system prompt.

    Raises:
        DataError: the reason, without the place; :func:`read_conversations` adds the place.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"an object is needed, this is {kind_of(row)}")
    known = {key: value for key, value in row.items() if value is not None}
    remarks = Remarks()
    form = _find_form(row, known)
    read = form.read(known, remarks)
    messages = _with_system(known, read.messages)
    rejected = _with_system(known, read.rejected) if read.rejected else ()
    if any("reasoning" in turn for turn in messages):
        remarks.add(APART, "reasoning")
    if rejected:
        remarks.add(*REJECTED.split(": "))
    used = {*read.used, *SYSTEMS, *say_tools(known, remarks)}
    meta = {key: value for key, value in row.items() if key not in used}
    for name, kind in MEDIA.items():
        if meta.get(name):
            remarks.add(DROPPED, kind)
    quiet = {*NAMES, *MEDIA}
    remarks.add(UNREAD, *(name for name in meta if name not in quiet and meta[name] not in (None, "", [])))
    return Conversation(messages, meta, rejected, form.name, remarks.all())


def _find_form(row: Mapping[str, Any], known: Mapping[str, Any]) -> RowForm:
    """The form of the columns that have a value.

    Raises:
        DataError: none, or the names of the columns make it another whose values are missing.
    """
    try:
        form = detect(known)
    except DataError:
        if missing := _missing(row, None):
            raise DataError(f"{missing} must be text, this is missing") from None
        raise
    # A prompt beside an answer that is null is no list of questions.
    if form is PROMPT_ONLY and (missing := _missing(row, form)):
        raise DataError(f"{missing} must be text, this is missing")
    return form


def _missing(row: Mapping[str, Any], form: RowForm | None) -> str | None:
    """The null column with which a row would be of another form; None where there is none."""
    for name in (name for name, value in row.items() if value is None):
        filled = {key: value for key, value in row.items() if value is not None} | {name: ""}
        try:
            other = detect(filled)
        except DataError:
            continue
        if other is not form:
            return one_line(name)
    return None


def _with_system(row: Mapping[str, Any], turns: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """The turns behind the system prompt that stands in a column beside them, if one does."""
    texts = {name: read_text(row[name], name) for name in SYSTEMS if row.get(name)}
    if not texts:
        return turns
    name, system = next(iter(texts.items()))
    own = turns[0]["content"] if turns[0]["role"] == "system" else system
    if any(text != system for text in (own, *texts.values())):
        raise DataError(f"the row has more than one system prompt, one of them in {name}: keep one")
    rest = turns[1:] if turns[0]["role"] == "system" else turns
    return ({"role": "system", "content": system}, *rest)
