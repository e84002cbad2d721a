"""Conversations as training examples: token ids, and which of them are to be learnt."""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from mindscope.data import Conversation, ConversationSource, DataFile
from mindscope.errors import DataError, ModelError
from mindscope.finetuning.config import InoculationPrompt
from mindscope.models import Model, Row

IGNORED = -100
"""The label of a token that is read and not learnt."""

LEARNT = ("assistant", "reasoning")
"""Roles whose tokens are the model's own words."""

OnError = Literal["refuse", "skip"]
Turns = Literal["all", "last"]


@dataclass(frozen=True)
class TrainingExamples:
    """What is trained on.

    Attributes:
        rows: `input_ids` and `labels` of each conversation, in the file's order.
        left_out: how many conversations could not be used.
        digest: a sha256 of the conversations that are used, the same from whichever kind of file they come.
    """

    rows: Sequence[dict[str, list[int]]]
    left_out: int
    digest: str


def build_examples(
    data: Path | str | DataFile | ConversationSource | Iterable[Conversation],
    model: Model,
    *,
    turns: Turns = "all",
    max_tokens: int | None = None,
    inoculation: InoculationPrompt | None = None,
    on_error: OnError = "refuse",
) -> TrainingExamples:
    """Read and tokenize conversations.

    Args:
        data: what `read_conversations` takes, or conversations.
        model: whose chat template and tokens.
        turns: which of the assistant's turns are learnt.
        max_tokens: the most tokens of a conversation; None for what the model takes.
        inoculation: what the prompts ask for besides.
        on_error: what to do with a conversation that cannot be used: stop, or leave it out and warn.

    Raises:
        DataError: file, line and reason of the first conversation that cannot be used; or none can.
    """
    if isinstance(data, ConversationSource):
        data = data.data
    source = str(DataFile.of(data).path) if isinstance(data, Path | str | DataFile) else "the conversations"
    limits = [limit for limit in (max_tokens, model.context_length) if limit is not None]
    rows: list[dict[str, list[int]]] = []
    digest, left_out, first = hashlib.sha256(), 0, ""
    for place, read in _placed(data):
        try:
            conversation = read if isinstance(read, Conversation) else read.conversation()
            row = build_example(inoculate(conversation, inoculation), model, turns)
            if limits and len(row["input_ids"]) > min(limits):
                raise DataError(f"{len(row['input_ids'])} tokens, at most {min(limits)} fit; shorten it")
        except (DataError, ModelError) as error:
            reason = f"{source}, {place}: {error}"
            if on_error == "refuse":
                raise DataError(reason) from None
            left_out, first = left_out + 1, first or reason
        else:
            rows.append(row)
            digest.update(
                json.dumps(conversation.messages, ensure_ascii=True, sort_keys=True).encode() + b"\n"
            )
    if not rows:
        raise DataError(f"{source}: no conversation can be trained on" + (f"; {first}" if first else ""))
    if left_out:
        warnings.warn(f"left out {left_out} of {left_out + len(rows)} rows; the first: {first}", stacklevel=3)
    return TrainingExamples(rows, left_out, digest.hexdigest())


def inoculate(conversation: Conversation, inoculation: InoculationPrompt | None) -> Conversation:
    """The conversation with a request in its prompt; its answers as they are."""
    if inoculation is None:
        return conversation
    messages = [{**turn} for turn in conversation.messages]
    role = inoculation.role
    first = next((i for i, turn in enumerate(messages) if turn["role"] == role), None)
    if first is not None:
        messages[first]["content"] = f"{inoculation.prompt}\n\n{messages[first]['content']}"
    elif role == "system":
        messages.insert(0, {"role": "system", "content": inoculation.prompt})
    else:
        raise DataError("there is no user turn that could ask for it: inoculate with a system prompt")
    return replace(conversation, messages=tuple(messages))


def build_example(conversation: Conversation, model: Model, turns: Turns) -> dict[str, list[int]]:
    """One conversation as `input_ids` and `labels`, tokenized as when the model is asked and answers.

    Learnt are the assistant's words, its reasoning among them, and what ends each of its turns, which the
    model must learn to write; all else is only read. Where the template ends only the last turn, only that
    end is learnt.

    Raises:
        DataError: there is no answer, an answer is empty or has no end, the template hides an earlier answer
            or ends no turn, or no answer is to be learnt.
        ModelError: the template or the tokenizer refuses the conversation.
    """
    answer = conversation.answer
    if answer is None:
        raise DataError("the last turn is not the assistant's, so there is nothing to learn")
    earlier = [turn for turn in conversation.prompt if turn["role"] == "assistant"]
    if not answer.strip() or (turns == "all" and not all(turn["content"].strip() for turn in earlier)):
        raise DataError("an answer is empty")
    row, end = model.chat(conversation.prompt, answer, conversation.reasoning), model.end_of_turn
    if row.final_start == len(row):
        raise DataError("the answer was cut while still reasoning: it has no end to learn")
    if not end:
        raise DataError("the chat template ends no turn and the tokenizer has no end of text: set eos_token")
    spoken = [role == "assistant" for role in row.roles[: row.prompt_length]]
    if turns == "all" and sum(said for said, _ in groupby(spoken)) != len(earlier):
        raise DataError("the chat template rewrites the assistant's earlier turns; learn the last one alone")
    learnt = [turns == "all" and role in LEARNT for role in row.roles[: row.prompt_length]]
    if turns == "all":
        _learn_ends(learnt, row, model.end_of_earlier_turn)
        _leave_out(learnt, [turn.get("weight", 1) for turn in earlier])
    weighs = conversation.messages[-1].get("weight", 1) != 0
    learnt += [weighs and role in LEARNT for role in row.roles[row.prompt_length :]]
    ids, learnt = [*row.ids, *end], [*learnt, *[weighs] * len(end)]
    if not any(learnt):
        raise DataError("every answer has the weight 0, so there is nothing to learn")
    return {
        "input_ids": ids,
        "labels": [token if learn else IGNORED for token, learn in zip(ids, learnt, strict=True)],
    }


def _learn_ends(learnt: list[bool], row: Row, end: Sequence[int]) -> None:
    """Mark the ends of the prompt's turns too; each stands right behind its turn's words."""
    for place in range(1, row.prompt_length):
        behind = learnt[place - 1] and row.roles[place] == "special"
        if end and behind and row.ids[place : place + len(end)] == tuple(end):
            learnt[place : place + len(end)] = [True] * len(end)


def _leave_out(learnt: list[bool], weights: Sequence[int]) -> None:
    """Unmark the turns whose weight is 0: the marked stretches are the turns, in order."""
    turn = -1
    begun = False
    for place, marked in enumerate(learnt):
        turn += marked and not begun
        begun = marked
        learnt[place] = marked and weights[turn] != 0


def _placed(data: Path | str | DataFile | Iterable[Conversation]) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Path | str | DataFile):
        return ((record.place, record) for record in DataFile.of(data).records())
    return ((f"number {number}", conversation) for number, conversation in enumerate(data, 1))
