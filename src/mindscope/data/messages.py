"""The turns of a conversation out of a file: roles, texts, reasoning, tools, and what is not read of them.

1. A turn is an object with a role and a content, by whatever names its form has for them.
2. The content is a text, or parts: texts are joined, reasoning is told apart, images and their like are left
   out.
3. What a tool was asked and gave back is written as text, as the templates of Hermes and Qwen write it: a
   call belongs to the assistant's turn and is not to be learnt, a result is a user's turn.
4. Whatever is not read becomes a remark, which whoever reads the file counts and says.
"""

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from mindscope.core import parse_json
from mindscope.data.remarks import DROPPED, TURN_KEYS, WRITTEN, Remarks, one_line
from mindscope.data.tools import (
    CALL_PARTS,
    CALLS,
    RESULT,
    RESULT_PARTS,
    list_calls,
    read_result,
    write_call,
    write_result,
)
from mindscope.errors import DataError

SPEAKERS = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "bing", "bard", "model", "ai", "bot"),
    "tool": ("tool", "function", "observation", "tool_response", "function_response", "ipython"),
    "call": ("function_call", "tool_call"),
}
"""What files call the speaker of a turn."""
_SPEAKER_OF = {name: speaker for speaker, names in SPEAKERS.items() for name in names}

ROLE_KEYS = ("role", "from", "speaker")
CONTENT_KEYS = ("content", "value", "text", "parts")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Names under which what was thought before an answer stands beside it."""
_QUIET_KEYS = ("id", "tool_call_id", "index", "type", "train", "weight", "loss", "refusal", "label")
"""Keys that are read elsewhere or say nothing about the words."""

_TEXT_PARTS = ("text", "input_text", "output_text")
_THOUGHT_PARTS = ("thinking", "reasoning")
_MEDIA = {
    "images": ("image", "image_url", "input_image", "inline_data", "inlineData"),
    "sounds": ("audio", "audio_url", "input_audio"),
    "videos": ("video", "video_url"),
    "files": ("file", "input_file", "document", "file_data", "fileData"),
    "hidden reasoning": ("redacted_thinking",),
}
_MEDIUM_OF = {kind: name for name, kinds in _MEDIA.items() for kind in kinds}

_THOUGHT_FIRST = re.compile(
    r"\s*(?:<think>(.*?)</think>|\[THINK\](.*?)\[/THINK\]|<seed:think>(.*?)</seed:think>"
    r"|<thought>(.*?)</thought>)\s*",
    re.DOTALL,
)
"""A reasoning that a recorded answer begins with, in the markers that models write themselves."""


class ChatMessage(TypedDict):
    """One turn. `reasoning` is what was thought before it; `weight` 0 says that it is not to be learnt;
    `label` is what the file says of the turn alone, in lower case.
    """

    role: str
    content: str
    reasoning: NotRequired[str]
    weight: NotRequired[int]
    label: NotRequired[str]


def read_turns(value: Any, name: str, remarks: Remarks) -> tuple[ChatMessage, ...]:
    """The turns of a list, in order.

    Args:
        value: what the file says: turns, or pairs of a question and its answer; in CSV, JSON of them.
        name: of the column.
        remarks: takes what is not read.

    Raises:
        DataError: it holds no turn, or one that cannot be read.
    """
    turns = read_cell(value, name)
    if isinstance(turns, Mapping):
        turns = _transposed(turns, name)
    if isinstance(turns, list) and len(turns) == 1 and isinstance(turns[0], list):
        turns = turns[0]
    if not isinstance(turns, list) or not turns:
        raise DataError(f"{name} must be a list of at least one turn")
    if all(isinstance(turn, list) for turn in turns):
        return read_pairs(turns, name)
    messages: list[ChatMessage] = []
    for index, turn in enumerate(turns):
        message, is_result = _read_turn(turn, f"{name}[{index}]", remarks)
        if message is None:
            continue
        if is_result and messages and messages[-1]["content"].startswith(RESULT):
            messages[-1] = {**messages[-1], "content": f"{messages[-1]['content']}\n{message['content']}"}
        else:
            messages.append(message)
    if not messages:
        raise DataError(f"{name} holds no turn with words")
    return tuple(messages)


def read_pairs(value: Any, name: str) -> tuple[ChatMessage, ...]:
    """The turns of a list of pairs, a question and its answer.

    Raises:
        DataError: it is none.
    """
    pairs = read_cell(value, name) if value else []
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise DataError(f"{name} must be a list of pairs, a question and its answer")
    return tuple(
        message
        for question, answer in pairs
        for message in pair_of(read_text(question, name), read_text(answer, name))
    )


def pair_of(question: str, answer: str) -> tuple[ChatMessage, ChatMessage]:
    """A question and its answer as turns."""
    return {"role": "user", "content": question}, answer_of(answer)


def answer_of(text: str) -> ChatMessage:
    """An answer as a turn; a reasoning that it begins with is told apart."""
    thought = _THOUGHT_FIRST.match(text)
    if thought is None:
        return {"role": "assistant", "content": text}
    message: ChatMessage = {"role": "assistant", "content": text[thought.end() :]}
    words = next((group for group in thought.groups() if group is not None), "").strip()
    return {**message, "reasoning": words} if words else message


def read_text(value: Any, name: str) -> str:
    """A text; DataError where it is none."""
    if not isinstance(value, str):
        raise DataError(f"{name} must be text, this is {kind_of(value)}")
    return value


def read_cell(value: Any, name: str) -> Any:
    """The value of a column, which a CSV file writes as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        python = " (it looks like Python's own notation: write it with json.dumps)" * value.startswith("[{'")
        raise DataError(f"{name} is not JSON{python}") from None


def kind_of(value: Any) -> str:
    """What a value is, for an error message."""
    return "missing" if value is None else f"a {type(value).__name__}"


def _transposed(columns: Mapping[str, Any], name: str) -> list[Any]:
    """Turns of a list of columns, as older datasets keep them; a single turn as a list of it."""
    lists = {key: value for key, value in columns.items() if isinstance(value, list)}
    if len(lists) != len(columns) or not lists:
        return [columns]
    lengths = {len(value) for value in lists.values()}
    if len(lengths) != 1:
        raise DataError(f"{name} has columns of unlike lengths")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _read_turn(turn: Any, name: str, remarks: Remarks) -> tuple[ChatMessage | None, bool]:
    """A turn, and whether it is what a tool gave back; None where it holds nothing that is read.

    A column that is null counts as absent, as in files whose rows must all have the same columns.
    """
    if not isinstance(turn, Mapping):
        raise DataError(f"{name} must be an object with role and content")
    known = {key: value for key, value in turn.items() if value is not None}
    role_key = next((key for key in ROLE_KEYS if key in known), "role")
    speaker = _SPEAKER_OF.get(str(known.get(role_key)).strip().lower())
    if speaker is None:
        names = ", ".join(name for names in SPEAKERS.values() for name in names[:2])
        raise DataError(
            f"{name}.{role_key} is {one_line(repr(known.get(role_key)))}, one of {names} is needed"
        )
    content_key = next((key for key in CONTENT_KEYS if key in known), "content")
    used = {role_key, content_key, *_THOUGHTS, *CALLS, *_QUIET_KEYS}
    remarks.add(TURN_KEYS, *(key for key, value in known.items() if key not in used and value != []))
    parts = _TurnParts(f"{name}.{content_key}", remarks)
    calls = [call for key in CALLS if known.get(key) for call in list_calls(known[key])]
    if content_key in known:
        parts.read(known[content_key])
    elif speaker == "assistant" and isinstance(known.get("refusal"), str):
        parts.texts.append(known["refusal"])
    elif speaker == "system":
        remarks.add(DROPPED, "empty system turns")
        return None, False
    elif not calls:
        read_text(None, f"{name}.{content_key}")
    for key in _THOUGHTS:
        if known.get(key):
            parts.thoughts = [read_text(known[key], f"{name}.{key}")]
    return _message(speaker, parts, calls, known, name)


def _message(
    speaker: str, parts: "_TurnParts", calls: list[Any], turn: Mapping[str, Any], name: str
) -> tuple[ChatMessage, bool]:
    text, thought = "".join(parts.texts), "".join(parts.thoughts)
    calls = [*parts.calls, *calls]
    if speaker == "tool" or (parts.results and not text.strip()):
        parts.remarks.add(WRITTEN, "results of tools")
        results = parts.results or [text]
        return {"role": "user", "content": "\n".join(map(write_result, results))}, True
    if parts.results:
        parts.remarks.add(WRITTEN, "results of tools")
        text = "\n".join([*map(write_result, parts.results), text])
    if speaker == "call":
        calls, text, speaker = [text], "", "assistant"
    if parts.empty_but and not text and not calls:
        raise DataError(f"{parts.name} holds no text, only {parts.empty_but}: leave the conversation out")
    message: ChatMessage = {"role": speaker, "content": text}
    if speaker == "assistant" and not thought:
        message = answer_of(text)
    elif thought:
        if speaker != "assistant":
            raise DataError(f"{name} has a reasoning and is the {speaker}'s: only the assistant reasons")
        message["reasoning"] = thought
    weight = _read_weight(turn, name)
    if calls:
        if speaker != "assistant":
            raise DataError(f"{name} calls a tool and is the {speaker}'s: only the assistant does")
        parts.remarks.add(WRITTEN, "calls of tools, whose turns are not learnt")
        written = [write_call(call) for call in calls]
        message["content"] = "\n".join([*([message["content"]] if message["content"] else []), *written])
        weight = 0
    if weight == 0:
        message["weight"] = 0
    label = turn.get("label")
    if isinstance(label, str | bool | int | float):
        message["label"] = str(label).strip().lower()
    return message, False


def _read_weight(turn: Mapping[str, Any], name: str) -> int:
    learns = all(turn.get(key, True) is not False for key in ("train", "loss"))
    weight = turn.get("weight", 1 if learns else 0)
    if weight not in (0, 1):
        raise DataError(f"{name}.weight is {one_line(repr(weight))}: 0 or 1 is needed")
    return int(weight)


class _TurnParts:
    """What the content of a turn holds."""

    def __init__(self, name: str, remarks: Remarks) -> None:
        self.name, self.remarks = name, remarks
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[Any] = []
        self.results: list[str] = []
        self.empty_but = ""
        """The kind of a part that was left out."""

    def read(self, value: Any) -> None:
        if isinstance(value, Mapping):
            value = value["parts"] if isinstance(value.get("parts"), list) else [value]
        if not isinstance(value, list):
            self.texts.append(read_text(value, self.name))
            return
        for index, part in enumerate(value):
            self._read_part(part, index)

    def _read_part(self, part: Any, index: int) -> None:
        place = f"{self.name}[{index}]"
        if isinstance(part, str):
            self.texts.append(part)
            return
        if not isinstance(part, Mapping):
            raise DataError(f"{self.name} must be text or parts of text, part {index} is {kind_of(part)}")
        # Parts without a type are named by the one key that they have.
        named = part.get("type") or next((key for key, value in part.items() if value is not None), "empty")
        kind = one_line(named)
        if kind in _TEXT_PARTS:
            self.texts.append(read_text(part.get("text"), f"{place}.text"))
        elif kind in _THOUGHT_PARTS:
            thought = next((part[key] for key in (*_THOUGHT_PARTS, "text") if part.get(key)), None)
            self.thoughts.append(read_text(thought, f"{place}.{kind}"))
        elif kind == "refusal":
            self.texts.append(read_text(part.get("refusal"), f"{place}.refusal"))
        elif kind in CALL_PARTS:
            self.calls.append(part if kind == "tool_use" else part.get(kind, part))
        elif kind in RESULT_PARTS:
            texts, left_out = read_result(part.get("content" if kind == "tool_result" else kind))
            self.results.append(texts)
            self.remarks.add(DROPPED, *(f"{name} in results of tools" for name in left_out))
        elif kind in _MEDIUM_OF:
            self.empty_but = f"part {index}, which is {kind}"
            self.remarks.add(DROPPED, _MEDIUM_OF[kind])
        else:
            raise DataError(f"{self.name} must be text or parts of text, part {index} is {kind}")
