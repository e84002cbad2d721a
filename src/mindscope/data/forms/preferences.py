"""Forms with two answers to one prompt, of which one was preferred.

The preferred answer is the conversation; the other is kept beside it.
"""

import re
from collections.abc import Mapping
from typing import Any

from mindscope.data.forms.base import FormReading, Row, RowForm, has
from mindscope.data.forms.pairs import HISTORY, earlier, instruction_text, read_answer, read_question
from mindscope.data.messages import ChatMessage, pair_of, read_turns
from mindscope.data.remarks import DROPPED, GUESSED, Remarks
from mindscope.errors import DataError

PROMPTS = ("prompt", "question", "query", "input", "conversations", "conversation", "messages")
"""Columns of the prompt, the first that is there."""

_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


def _read_preference(row: Row, remarks: Remarks) -> FormReading:
    prompt, used = _prompt(row, remarks)
    answers = {name: row[name] for name in ("chosen", "rejected")}
    if prompt is None and all(isinstance(value, str) for value in answers.values()):
        sides = _split_texts(answers["chosen"], answers["rejected"], remarks)
    else:
        sides = tuple(_side(prompt or (), value, name, remarks) for name, value in answers.items())
    return _reading(sides, (*used, *answers))


def _prompt(row: Row, remarks: Remarks) -> tuple[tuple[ChatMessage, ...] | None, tuple[str, ...]]:
    """The turns before both answers; None where the row does not say them apart."""
    if "instruction" in row:
        asked, used = instruction_text(row)
        return (*earlier(row), {"role": "user", "content": asked}), (*used, HISTORY)
    name = next((name for name in PROMPTS if name in row), None)
    if name is None:
        return None, ()
    if name == "messages" and _is_whole(read_answer(row["chosen"], "chosen", Remarks())):
        return None, ("messages",)  # the chosen conversation once more
    return (*earlier(row), *read_question(row, name, remarks)), (name, HISTORY)


def _side(
    prompt: tuple[ChatMessage, ...], value: Any, name: str, remarks: Remarks
) -> tuple[ChatMessage, ...]:
    """A whole conversation; an answer's list may hold the prompt as well."""
    turns = read_answer(value, name, remarks)
    if not _is_whole(turns):
        return (*prompt, *turns)
    if prompt and prompt[-1] not in turns:
        raise DataError(f"{name} begins with another prompt than the row has beside it")
    return turns


def _is_whole(turns: tuple[ChatMessage, ...]) -> bool:
    """Whether these are a prompt and its answer, not an answer alone."""
    return turns[0]["role"] != "assistant"


def _reading(sides: tuple[tuple[ChatMessage, ...], ...], used: tuple[str, ...]) -> FormReading:
    for name, turns in zip(("the chosen answer", "the rejected answer"), sides, strict=True):
        if turns[-1]["role"] != "assistant":
            raise DataError(f"{name} must end with the assistant's turn")
    chosen, rejected = sides
    return FormReading(chosen, used, rejected)


def _split_texts(
    chosen: str, rejected: str, remarks: Remarks
) -> tuple[tuple[ChatMessage, ...], tuple[ChatMessage, ...]]:
    """Transcripts (`Human: … Assistant: …`), or texts whose common beginning is the prompt."""
    if all(_TRANSCRIPT.match(text) for text in (chosen, rejected)):
        return _transcript(chosen, "chosen"), _transcript(rejected, "rejected")
    unlike = (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
    shared = chosen[: next(unlike, min(len(chosen), len(rejected)))]
    if shared not in (chosen, rejected) and not shared[-1:].isspace():
        shared = shared[: max(shared.rfind(blank) for blank in " \n\t") + 1]
    prompt, answers = shared.strip(), [text[len(shared) :] for text in (chosen, rejected)]
    if not prompt or not all(answer.strip() for answer in answers):
        raise DataError("chosen and rejected have no prompt: add a column prompt, or write lists of turns")
    remarks.add(GUESSED, "the prompt, what chosen and rejected begin with")
    first, second = (pair_of(prompt, answer.strip()) for answer in answers)
    return first, second


def _transcript(text: str, name: str) -> tuple[ChatMessage, ...]:
    pieces = _TRANSCRIPT.split(text)[1:]
    turns = [
        {"role": _SPEAKERS[speaker], "content": words.strip()}
        for speaker, words in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    return read_turns(turns, name, Remarks())


def _read_preferred_output(row: Row, remarks: Remarks) -> FormReading:
    request = row["input"]
    if isinstance(request, Mapping):
        if request.get("tools"):
            remarks.add(DROPPED, "definitions of tools")
        request = request.get("messages")
    if isinstance(request, str):
        prompt: tuple[ChatMessage, ...] = ({"role": "user", "content": request},)
    else:
        prompt = read_turns(request, "input.messages", remarks)
    names = next(pair for pair in OUTPUTS if has(*pair)(row))
    return _reading(tuple(_side(prompt, row[name], name, remarks) for name in names), ("input", *names))


OUTPUTS = (
    ("preferred_output", "non_preferred_output"),
    ("preferred_completion", "non_preferred_completion"),
)

PREFERENCE = RowForm(
    "preference",
    "TRL, LLaMA-Factory, UltraFeedback, HH-RLHF",
    "chosen, rejected: texts, turns or lists of turns; prompt beside them, in them, or as a transcript",
    has("chosen", "rejected"),
    _read_preference,
)
PREFERRED_OUTPUT = RowForm(
    "preferred-output",
    "OpenAI's preference files",
    "input: {messages}, preferred_output, non_preferred_output",
    lambda row: "input" in row and any(has(*pair)(row) for pair in OUTPUTS),
    _read_preferred_output,
)
