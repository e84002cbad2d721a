"""The answers of a target in a transcript, each with its question and what was kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspect_ai.event import ModelEvent
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage

from mindscope.auditing.extension.call import CallRecord


@dataclass(frozen=True)
class TargetTurn:
    """One answer.

    Attributes:
        question: what the user had said before it; empty where nobody said anything.
        answer: its text.
        system: the system prompt, if any.
        record: what was done and read; None where the model is not one of ours.
    """

    question: str
    answer: str
    system: str | None
    record: CallRecord | None

    def reading(self, feature: str, over: str) -> float | None:
        """A feature's `mean`, `highest` or `before`; None where it was not read."""
        own = None if self.record is None else self.record.readings.get(feature)
        return None if own is None else getattr(own, over)

    def threshold(self, feature: str) -> float | None:
        """The calibrated threshold of a feature; None where there is none."""
        own = None if self.record is None else self.record.readings.get(feature)
        return None if own is None else own.threshold


def target_turns(messages: Sequence[ChatMessage]) -> list[TargetTurn]:
    """The answers that a model wrote, in order.

    What a data set brought along as the assistant's own words is not an answer of the model, and no turn.
    """
    turns: list[TargetTurn] = []
    system, question = None, ""
    for message in messages:
        if message.role == "system":
            system = message.text
        elif message.role == "user":
            question = message.text
        elif message.role == "assistant" and message.source == "generate":
            record = CallRecord.of_metadata(message.metadata)
            turns.append(TargetTurn(question, message.text, system, record))
    return turns


def turns_of(messages: Sequence[ChatMessage]) -> list[TargetTurn]:
    """The answers of the target of a sample.

    Where another model leads the conversation and asks the target behind it, as an auditor does in Petri, the
    sample's messages are the leader's. Then the target's answers are those of the sample's calls that have a
    record, in the order in which they were asked; what was rolled back is among them.
    """
    turns = target_turns(messages)
    if any(turn.record is not None for turn in turns):
        return turns
    called = [
        turn
        for event in transcript().events
        if isinstance(event, ModelEvent) and CallRecord.of_metadata(event.output.metadata) is not None
        for turn in target_turns([*event.input, event.output.message])[-1:]
    ]
    return called or turns
