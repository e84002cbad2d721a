"""A row is one conversation as the model sees it: token ids, and which of them are whose."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np

from mindscope.errors import ModelError

Role = Literal["system", "user", "assistant", "reasoning", "special"]
"""Whose words a token is of: `reasoning` is what the assistant thinks before it answers, with its markers;
`special` is what the chat template wrote."""

Where = Literal["all", "prompt", "answer", "last_prompt", "response", "reasoning", "final"]
"""Which tokens of a row are meant.

`response` is `last_prompt` and `answer` together: the positions from which the answer is predicted. The
papers that steer "the last position of each forward pass" while generating steer these.

`answer` is everything behind the prompt. In a model that reasons before it answers it has two parts:
`reasoning`, up to and with what closes it, and `final`, what the model tells its reader. In other models
`final` is the whole answer.
"""


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The tokens of an answer from number `start` on, counted from 0 at its first token."""

    start: int

    def __post_init__(self) -> None:
        if self.start < 0:
            raise ModelError(f"tokens of an answer count from 0, got {self.start}")


Positions = Where | tuple[int, ...] | AnswerTokens
"""Tokens of a row by a name, by their indices in the row, or an answer's from some token on."""

WHERES: tuple[Where, ...] = ("all", "prompt", "answer", "last_prompt", "response", "reasoning", "final")


class Message(TypedDict):
    """One turn of a conversation.

    `reasoning` is what the assistant thought before it, where that is known apart from the content.
    """

    role: str
    content: str
    reasoning: NotRequired[str]


class ToolMessage(Message):
    """A turn with tools: the assistant's `tool_calls` are objects as chat templates take them, and a turn of
    the role `tool` is what the call of `tool_call_id` gave.
    """

    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids whose first `prompt` tokens are the prompt and whose remaining tokens are the answer.

    `roles` names the speaker of every token; `special` marks what the chat template wrote. Left out, the
    prompt is the user's and the answer the assistant's. An answer begins with its reasoning, if there is any,
    and with what the template writes before the answer itself: the final answer is from its first
    `assistant` token on.
    """

    ids: tuple[int, ...]
    prompt_length: int
    roles: tuple[Role, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.prompt_length <= len(self.ids):
            raise ModelError(
                f"a row of {len(self.ids)} tokens cannot have a prompt of {self.prompt_length}; "
                "prompt counts the tokens before the answer"
            )
        if not self.roles:
            answer = len(self.ids) - self.prompt_length
            object.__setattr__(self, "roles", ("user",) * self.prompt_length + ("assistant",) * answer)
        elif len(self.roles) != len(self.ids):
            raise ModelError(
                f"a row of {len(self.ids)} tokens has {len(self.roles)} roles; give one role per token"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer(self) -> tuple[int, ...]:
        """The ids after the prompt."""
        return self.ids[self.prompt_length :]

    @property
    def final_start(self) -> int:
        """Where the final answer begins; the row's length where there is none, as in a prompt, or in an
        answer that was cut while still reasoning.
        """
        for place in range(self.prompt_length, len(self.ids)):
            if self.roles[place] == "assistant":
                return place
        return len(self.ids)

    @property
    def final(self) -> tuple[int, ...]:
        """The ids of the final answer: those of the answer, without its reasoning."""
        return self.ids[self.final_start :]

    def answered(self, ids: Sequence[int], n_reasoning: int = 0) -> "Row":
        """This row with more answer tokens after its own, of which the first so many are reasoning."""
        roles: tuple[Role, ...] = ("reasoning",) * n_reasoning + ("assistant",) * (len(ids) - n_reasoning)
        return Row((*self.ids, *ids), self.prompt_length, self.roles + roles)

    def as_prompt(self) -> "Row":
        """This row without its answer."""
        return Row(self.ids[: self.prompt_length], self.prompt_length, self.roles[: self.prompt_length])


def check_where(where: object) -> None:
    """Refuse what names no set of tokens."""
    if isinstance(where, tuple):
        if not all(isinstance(position, int) and position >= 0 for position in where):
            raise ModelError(f"positions count from 0 at the row's first token, got {where}")
    elif not isinstance(where, AnswerTokens) and where not in WHERES:
        raise ModelError(
            f"unknown positions {where!r}; use one of {', '.join(WHERES)} or a tuple of positions"
        )


def position_mask(
    where: Positions,
    positions: np.ndarray,
    prompts: np.ndarray,
    finals: np.ndarray | None = None,
) -> np.ndarray:
    """Which columns of a batch `where` means.

    Args:
        where: the tokens meant.
        positions: `[rows, columns]`, the index in its row of the token in each column, -1 for padding.
        prompts: `[rows]`, the prompt length of each row.
        finals: `[rows]`, where each row's final answer begins; None where no row reasons.

    Returns:
        Booleans `[rows, columns]`, never true on padding.
    """
    if isinstance(where, tuple):
        return np.isin(positions, where) & (positions >= 0)
    bound = prompts[:, None]
    if isinstance(where, AnswerTokens):
        return positions >= bound + where.start
    final = bound if finals is None else finals[:, None]
    match where:
        case "all":
            return positions >= 0
        case "prompt":
            return (positions >= 0) & (positions < bound)
        case "answer":
            return positions >= bound
        case "last_prompt":
            return (positions >= 0) & (positions == bound - 1)
        case "response":
            return positions >= np.maximum(bound - 1, 0)
        case "reasoning":
            return (positions >= bound) & (positions < final)
        case "final":
            return positions >= np.maximum(final, 0)


def row_mask(where: Positions, row: Row) -> np.ndarray:
    """Which tokens of one row `where` means; booleans `[tokens]`."""
    columns = np.arange(len(row))[None]
    return position_mask(where, columns, np.array([row.prompt_length]), np.array([row.final_start]))[0]


def reaches_answer(where: Positions) -> bool:
    """Whether tokens behind the prompt can be meant."""
    return not isinstance(where, str) or where in ("all", "answer", "response", "reasoning", "final")
