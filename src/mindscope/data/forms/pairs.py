"""Forms with a question and an answer in columns of their own."""

from collections.abc import Mapping
from typing import Any

from mindscope.data.forms.base import FormReading, Row, RowForm, has
from mindscope.data.messages import ChatMessage, answer_of, read_pairs, read_text, read_turns
from mindscope.data.remarks import Remarks

HISTORY = "history"
"""The column with earlier questions and answers, a list of pairs."""

PAIRS = (
    ("prompt", "response"),
    ("prompt", "answer"),
    ("prompt", "output"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
)
"""The columns of a file with one question and one answer a row."""

INSTRUCTION_ANSWERS = ("output", "response", "answer")
INSTRUCTION_INPUTS = ("input", "context")


def read_question(row: Row, name: str, remarks: Remarks) -> tuple[ChatMessage, ...]:
    """The turns of a question: its text, or the list of turns up to it."""
    if isinstance(row[name], list | Mapping):
        return read_turns(row[name], name, remarks)
    return ({"role": "user", "content": read_text(row[name], name)},)


def read_answer(value: Any, name: str, remarks: Remarks) -> tuple[ChatMessage, ...]:
    """The turns of an answer: its text, a turn, or a list of turns."""
    if isinstance(value, list | Mapping):
        return read_turns(value, name, remarks)
    return (answer_of(read_text(value, name)),)


def instruction_text(row: Row) -> tuple[str, tuple[str, ...]]:
    """An instruction with what it is about, as instruction data sets mean it, and the columns of both."""
    asked, used = read_text(row["instruction"], "instruction"), ["instruction"]
    for name in INSTRUCTION_INPUTS:
        if row.get(name):
            asked = f"{asked}\n\n{read_text(row[name], name)}"
        if name in row:
            used.append(name)
    return asked, tuple(used)


def _read_pair(row: Row, remarks: Remarks) -> FormReading:
    question, answer = next(pair for pair in PAIRS if has(*pair)(row))
    return _joined(row, question, answer, remarks)


def _joined(row: Row, question: str, answer: str, remarks: Remarks) -> FormReading:
    turns = (
        *earlier(row),
        *read_question(row, question, remarks),
        *read_answer(row[answer], answer, remarks),
    )
    return FormReading(turns, (question, answer, HISTORY))


def earlier(row: Row) -> tuple[ChatMessage, ...]:
    """The turns of a history."""
    return read_pairs(row.get(HISTORY), HISTORY)


def _read_instruction(row: Row, remarks: Remarks) -> FormReading:
    answer = next(name for name in INSTRUCTION_ANSWERS if name in row)
    asked, used = instruction_text(row)
    question: ChatMessage = {"role": "user", "content": asked}
    turns = (*earlier(row), question, *read_answer(row[answer], answer, remarks))
    return FormReading(turns, (*used, answer, HISTORY))


def _read_prompt(row: Row, remarks: Remarks) -> FormReading:
    return FormReading((*earlier(row), *read_question(row, "prompt", remarks)), ("prompt", HISTORY))


def _is_prompt_only(row: Row) -> bool:
    """Whether nothing else in the row could be the answer."""
    others = (value for name, value in row.items() if name not in ("prompt", HISTORY, *_BESIDE))
    return "prompt" in row and not any(isinstance(value, str | list | Mapping) and value for value in others)


_BESIDE = ("id", "prompt_id", "system", "system_prompt", "source", "category", "language", "tools")


def _detects_instruction(row: Row) -> bool:
    return "instruction" in row and any(name in row for name in INSTRUCTION_ANSWERS)


PROMPT_COMPLETION = RowForm(
    "prompt-completion",
    "TRL",
    "prompt, completion: texts, or lists of turns",
    has("prompt", "completion"),
    lambda row, remarks: _joined(row, "prompt", "completion", remarks),
)
ALPACA = RowForm(
    "alpaca",
    "Alpaca, Dolly",
    "instruction, input (or context), output (or response); system, history",
    _detects_instruction,
    _read_instruction,
)
QUESTION_ANSWER = RowForm(
    "question-answer",
    "tables of one question and one answer",
    ", ".join(f"{question} + {answer}" for question, answer in PAIRS),
    lambda row: any(has(*pair)(row) for pair in PAIRS),
    _read_pair,
)
INPUT_OUTPUT = RowForm(
    "input-output",
    "logs and evaluation sets",
    "input, output: texts, or lists of turns",
    has("input", "output"),
    lambda row, remarks: _joined(row, "input", "output", remarks),
)
PROMPT_ONLY = RowForm(
    "prompt-only",
    "TRL, lists of questions",
    "prompt: a text, or a list of turns; no answer",
    _is_prompt_only,
    _read_prompt,
)
