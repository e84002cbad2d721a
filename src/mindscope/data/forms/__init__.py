"""The forms in which people keep conversations, one a row: told by their columns, read into turns."""

from collections.abc import Mapping
from typing import Any

from mindscope.data.forms.base import FormReading, RowForm
from mindscope.data.forms.chats import GEMINI, LMSYS, MESSAGES, SHAREGPT, WILDCHAT
from mindscope.data.forms.pairs import ALPACA, INPUT_OUTPUT, PROMPT_COMPLETION, PROMPT_ONLY, QUESTION_ANSWER
from mindscope.data.forms.preferences import PREFERENCE, PREFERRED_OUTPUT
from mindscope.data.remarks import SHOWN, one_line
from mindscope.errors import DataError

__all__ = ["FORMS", "FormReading", "RowForm", "detect"]

FORMS: tuple[RowForm, ...] = (
    PREFERENCE,
    PREFERRED_OUTPUT,
    MESSAGES,
    WILDCHAT,
    LMSYS,
    SHAREGPT,
    GEMINI,
    PROMPT_COMPLETION,
    ALPACA,
    QUESTION_ANSWER,
    INPUT_OUTPUT,
    PROMPT_ONLY,
)
"""In this order a row is held against them: the first that fits reads it."""


def detect(row: Mapping[str, Any]) -> RowForm:
    """The form of a row, whose null columns are left out.

    Raises:
        DataError: it is of none; the message names the columns that there are and those that are needed.
    """
    for form in FORMS:
        if form.detect(row):
            return form
    names = ", ".join(map(one_line, list(row)[:SHOWN])) or "nothing"
    raise DataError(
        "messages, conversations, a question and an answer, or chosen and rejected are needed, found "
        f"{names}: say which column is which (--columns answer=YOURS); docs/data.md lists the forms"
    )
