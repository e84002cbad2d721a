"""Examples out of files: two of them, one with labels, one of preference pairs, or turns of chats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mindscope.data import Conversation, ConversationSource, DataFile, FileRecord
from mindscope.errors import DataError
from mindscope.personas.examples.example_set import ExampleAnswer, ExampleSet

LABEL = "label"
"""The column, or the key of a turn, that says which side a row or a turn is on."""
POSITIVE = ("true", "1", "1.0", "yes", "positive", "pos", "chosen")
NEGATIVE = ("false", "0", "0.0", "no", "negative", "neg", "rejected", "-1")
"""Labels that say by themselves which side they mean."""
SHOWN = 6


def read_examples(
    files: Sequence[Path | str | DataFile | ConversationSource],
    *,
    positive: str | None = None,
    on_error: Literal["refuse", "skip"] = "refuse",
) -> ExampleSet:
    """Examples of both sides.

    - Two files: the answers of the first show the trait, those of the second do not.
    - One file of preference pairs: the chosen answers show it, the rejected ones do not.
    - One file with a column `label`, or with turns that have one: `true`, `1`, `yes` or `positive` and their
      opposites, or any labels, of which `positive` names the one that shows the trait.

    The last answer of a row is its example; where turns have labels, every labelled answer is one.

    Args:
        files: what `data.read_conversations` reads.
        positive: the label that shows the trait; all others do not.
        on_error: what to do with a row without an example: stop, or leave it out and count it.

    Raises:
        DataError: a row is malformed or has no label (with file and line), or there are other than one or two
            files.
    """
    if len(files) not in (1, 2):
        raise DataError(
            f"{len(files)} files of examples: give one with labels or pairs, or two (with, without)"
        )
    reading = _ExampleReader(on_error)
    sources = [ConversationSource.of(file) for file in files]
    if len(sources) == 2:
        sides = [[e for _, e in reading.rows(source, _read_plain)] for source in sources]
        found = ExampleSet.of(*sides)
    else:
        found = _read_one(sources[0], reading, positive)
    notes = [*reading.notes(), *found.notes]
    return ExampleSet(
        found.positive, found.negative, found.paired, tuple(notes), tuple(source.label for source in sources)
    )


def _read_one(source: ConversationSource, reading: "_ExampleReader", positive: str | None) -> ExampleSet:
    first = next((row for record in source.records() if (row := _try_read(record)) is not None), None)
    if first is None:
        raise DataError(f"{source.label} holds no conversation")
    if first.rejected and positive is None:
        return ExampleSet.of_pairs([pair for _, pair in reading.rows(source, _read_pair)])
    labelled = list(reading.rows(source, _read_labelled))
    sides = _sides(Counter(label for label, _ in labelled), positive, source)
    return ExampleSet.of(
        [example for label, example in labelled if sides[label]],
        [example for label, example in labelled if not sides[label]],
    )


class _ExampleReader:
    """Reads rows, and counts those that hold no example."""

    def __init__(self, on_error: str) -> None:
        self._skips = on_error == "skip"
        self._left_out, self._first = 0, ""

    def rows(self, source: ConversationSource, read: Any) -> Any:
        """What `read` makes of every conversation, with its label."""
        for record in source.records():
            try:
                yield from read(record.conversation(), f"{source.label}, {record.place}")
            except DataError as error:
                located = f"{source.label}, {record.place}: {error}"
                if not self._skips:
                    raise DataError(located) from None
                self._left_out, self._first = self._left_out + 1, self._first or located

    def notes(self) -> list[str]:
        return [f"rows left out: {self._left_out}, the first: {self._first}"] if self._left_out else []


def _try_read(record: FileRecord) -> Conversation | None:
    try:
        return record.conversation()
    except DataError:
        return None


def _read_plain(conversation: Conversation, place: str) -> list[tuple[None, ExampleAnswer]]:
    return [(None, ExampleAnswer.of(conversation, place))]


def _read_pair(
    conversation: Conversation, place: str
) -> list[tuple[None, tuple[ExampleAnswer, ExampleAnswer]]]:
    chosen, rejected = (ExampleAnswer.of(side, place) for side in (conversation, conversation.as_rejected()))
    if chosen.asked != rejected.asked:
        raise DataError("chosen and rejected answer different prompts")
    return [(None, (chosen, rejected))]


def _read_labelled(conversation: Conversation, place: str) -> list[tuple[str, ExampleAnswer]]:
    """The row's answer with its label; where turns have labels, each such answer with what was before it."""
    turns = conversation.messages
    if any("label" in turn for turn in turns):
        return [
            (turn["label"], ExampleAnswer.of(Conversation(turns[: index + 1]), f"{place}, turn {index}"))
            for index, turn in enumerate(turns)
            if turn["role"] == "assistant" and "label" in turn
        ]
    label = conversation.meta.get(LABEL)
    if not isinstance(label, str | bool | int | float):
        raise DataError(
            "the row has neither a label nor a rejected answer: name the column (--columns label=YOURS), or "
            "give two files"
        )
    return [(as_label(label), ExampleAnswer.of(conversation, place))]


def as_label(value: str | bool | int | float) -> str:
    """A label as it is compared: text without blanks around it, in lower case."""
    return str(value).strip().lower()


def _sides(labels: Mapping[str, int], positive: str | None, source: ConversationSource) -> dict[str, bool]:
    """Which side each label means."""
    names = ", ".join(f"{label} ({count})" for label, count in list(labels.items())[:SHOWN])
    if positive is not None:
        if as_label(positive) not in labels:
            raise DataError(f"{source.label} has no label {positive}: it has {names}")
        return {label: label == as_label(positive) for label in labels}
    unknown = [label for label in labels if label not in (*POSITIVE, *NEGATIVE)]
    if unknown:
        raise DataError(
            f"{source.label} has the labels {names}: say which shows the trait (--positive LABEL)"
        )
    return {label: label in POSITIVE for label in labels}
