"""Forms that hold a conversation as a list of turns."""

from collections.abc import Callable, Mapping
from typing import Any

from mindscope.data.forms.base import FormReading, Row, RowForm
from mindscope.data.messages import read_cell, read_turns
from mindscope.data.remarks import DROPPED, Remarks
from mindscope.errors import DataError

TOOLS = ("tools", "functions")
"""Columns with the definitions of tools."""


def _read_any(*names: str) -> Callable[[Row, Remarks], FormReading]:
    """Reads the turns in the first of some columns that is there."""

    def read(row: Row, remarks: Remarks) -> FormReading:
        name = next(name for name in names if name in row)
        return FormReading(read_turns(row[name], name, remarks), (name,))

    return read


def _has_turns(name: str, *keys: str) -> Callable[[Row], bool]:
    """Whether a column holds turns whose first has one of these keys."""

    def detect(row: Row) -> bool:
        first = _first_turn(row.get(name))
        return isinstance(first, Mapping) and any(first.get(key) is not None for key in keys)

    return detect


def _first_turn(value: Any) -> Any:
    try:
        turns = read_cell(value, "")
    except DataError:  # said where the column is read
        return None
    if isinstance(turns, Mapping):
        return turns
    return turns[0] if isinstance(turns, list) and turns else None


def _read_gemini(row: Row, remarks: Remarks) -> FormReading:
    turns = list(read_turns(row["contents"], "contents", remarks))
    instruction = next((name for name in ("systemInstruction", "system_instruction") if name in row), None)
    if instruction is None:
        return FormReading(tuple(turns), ("contents",))
    system = row[instruction]
    content = system.get("parts", system) if isinstance(system, Mapping) else system
    text = {"role": "system", "content": content}
    return FormReading((*read_turns([text], instruction, remarks), *turns), ("contents", instruction))


def say_tools(row: Row, remarks: Remarks) -> tuple[str, ...]:
    """Remark on definitions of tools, and return the columns that hold them."""
    present = tuple(name for name in TOOLS if row.get(name))
    if present:
        remarks.add(DROPPED, "definitions of tools")
    return present


MESSAGES = RowForm(
    "messages",
    "chat completions and their fine-tuning files, TRL, Claude's messages",
    'messages: [{role, content}]; content may be parts, such as [{"type": "text", "text": …}]',
    lambda row: "messages" in row,
    _read_any("messages"),
)
WILDCHAT = RowForm(
    "wildchat",
    "WildChat",
    "conversation: [{role, content, language, toxic, …}], conversation_hash, openai_moderation, …",
    _has_turns("conversation", "turn_identifier", "toxic"),
    _read_any("conversation"),
)
LMSYS = RowForm(
    "lmsys",
    "LMSYS-Chat-1M and its like",
    "conversation: [{role, content}], conversation_id, model, language, openai_moderation, …",
    _has_turns("conversation", "role"),
    _read_any("conversation"),
)
SHAREGPT = RowForm(
    "sharegpt",
    "ShareGPT, Vicuna, LLaMA-Factory, axolotl",
    "conversations (or conversation): [{from, value}], also [{role, content}] or pairs of texts; system",
    lambda row: "conversations" in row or "conversation" in row,
    _read_any("conversations", "conversation"),
)
GEMINI = RowForm(
    "contents",
    "Gemini's requests",
    "contents: [{role, parts: [{text}]}], systemInstruction",
    lambda row: "contents" in row,
    _read_gemini,
)
