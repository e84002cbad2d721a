"""Windows of the data, each read in a few forward passes and kept as one finished piece of the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.core import Progress
from mindscope.data import Conversation, ConversationSource, FileRecord
from mindscope.engines import Engine
from mindscope.errors import DataError, ModelError
from mindscope.models import Message, Row, describe_prompts, pack_turns, turn_rows
from mindscope.screening.base_answers import NOT_FINITE, BaselineAnswers, BaselineSampler
from mindscope.screening.config import ScreenConfig
from mindscope.screening.traits import ScreenedTraits
from mindscope.store import Run, derived_seed, digest

Sample = tuple[FileRecord, str | None, list[Row]]
"""A row of the file, its id if it has one, and a row for the model per assistant turn."""


@dataclass(frozen=True)
class WindowReadings:
    """What one window's rows projected to. A sample is a row that could be scored, of one turn or more."""

    numbers: Int[Tensor, "samples"]
    lines: Int[Tensor, "samples"]
    counts: Int[Tensor, "samples"]
    """Turns of each sample."""
    answer: Float[Tensor, "turns traits"]
    """Mean projection of the data's answer, without its reasoning."""
    last: Float[Tensor, "turns traits"]
    """Projection of the last prompt token."""
    ids: Sequence[str | None]
    left_out: Sequence[str]
    """File, line and reason of each malformed row."""
    passes: int
    """Rows of forward passes; fewer than turns where whole conversations went through at once."""


class ReadingWindows:
    """The readings of one data set in one run, window by window."""

    def __init__(
        self,
        model: Engine,
        source: ConversationSource,
        traits: ScreenedTraits,
        base: BaselineSampler,
        run: Run,
        config: ScreenConfig,
    ) -> None:
        self.model, self.source, self.traits, self.base = model, source, traits, base
        self.run, self.config = run, config
        setup = {
            "model": model.fingerprint,
            "dtype": str(model.dtype),
            "template": describe_prompts(model),
            "data": source.digest,
            "probe": traits.features.digest(),
            "window": config.window,
            "on_error": config.on_error,
        }
        self.name = f"readings/{digest(setup)}"
        own = {"sampling": config.sampling(), "samples": config.samples, "seed": config.seed}
        self.own_name = f"{self.name}/own-{digest(own)}"
        self.count = 0
        """Windows seen by :meth:`read`."""

    def read(self, *, own: bool, report: Progress | None, most: int | None = None) -> None:
        """Read all windows that are not finished, or only the first `most`, with the model's own answers if
        `own`.

        Raises:
            DataError: file, line and reason of the first malformed row, if such rows are to be refused.
        """
        if self.config.on_error == "refuse":
            self._check()
        rows = 0
        for index, window in islice(enumerate(self.source.windows(self.config.window)), most):
            piece = f"{self.name}/{index:06d}.json"
            done = self.run.has(piece)
            answered = not own or self.run.has(f"{self.own_name}/{index:06d}.json")
            if not (done and answered):
                samples, left_out = self._rows_of(window)
                if not done:
                    self._save_readings(index, samples, left_out)
                if not answered:
                    self._save_own(index, samples, report)
            rows += len(window)
            self.count = index + 1
            if report is not None:
                report(rows, max(rows, self.source.size), f"screening {self.source.name}")
        if report is not None:
            report(rows, rows, f"screening {self.source.name}")

    def readings(self) -> Iterator[WindowReadings]:
        """The finished windows in order."""
        return map(self.reading, range(self.count))

    def reading(self, index: int) -> WindowReadings:
        """A finished window."""
        tensors = self.run.load_tensors(f"{self.name}/{index:06d}.safetensors")
        return WindowReadings(**tensors, **self.run.load_json(f"{self.name}/{index:06d}.json"))

    def own(self, index: int) -> BaselineAnswers:
        """The model's own answers to the turns of a window."""
        means = self.run.load_tensors(f"{self.own_name}/{index:06d}.safetensors")["means"]
        origins = self.run.load_json(f"{self.own_name}/{index:06d}.json")
        return BaselineAnswers(means, [tuple(origin) for origin in origins])

    def own_of(self, numbers: Sequence[int], report: Progress | None) -> BaselineAnswers:
        """The model's own answers to all turns of some rows, in the order of the file."""
        samples, _ = self._rows_of(list(self.records(numbers).values()))
        return self._own(samples, report)

    def records(self, numbers: Sequence[int]) -> Mapping[int, FileRecord]:
        """Some rows, by number, in the order of the file."""
        missing = set(numbers)
        records: dict[int, FileRecord] = {}
        for record in self.source.records() if missing else ():
            if record.number in missing:
                records[record.number] = record
                missing.remove(record.number)
                if not missing:
                    break
        return records

    def _check(self) -> None:
        """Refuse what can be seen without a model before anything is read, not hours later."""
        for record in self.source.records():
            try:
                answers_in(record.conversation())
            except DataError as error:
                raise self.source.located(record, error) from None

    def _rows_of(self, window: Sequence[FileRecord]) -> tuple[list[Sample], list[str]]:
        """The rows of every sample, and what is wrong with each row that is not a sample."""
        samples: list[Sample] = []
        left_out: list[str] = []
        for record in window:
            try:
                conversation = record.conversation()
                samples.append((record, _id(conversation.meta), answer_rows(self.model, conversation)))
            except (DataError, ModelError) as error:
                located = self.source.located(record, error)
                if self.config.on_error == "refuse":
                    raise located from None
                left_out.append(str(located))
        return samples, left_out

    def _save_readings(self, index: int, samples: Sequence[Sample], left_out: Sequence[str]) -> None:
        passes = [packed for _, _, rows in samples for packed in pack_turns(rows)]
        tokens = self.traits.features.read(self.model, [packed.row for packed in passes])
        spans = [
            (values, span) for values, packed in zip(tokens, passes, strict=True) for span in packed.spans
        ]
        width = len(self.traits.names)
        answer = [values[span.final_start : span.end].double().mean(0).float() for values, span in spans]
        last = [values[span.prompt_length - 1] for values, span in spans]
        whole = {
            "numbers": torch.tensor([record.number for record, _, _ in samples], dtype=torch.int64),
            "lines": torch.tensor([record.line for record, _, _ in samples], dtype=torch.int64),
            "counts": torch.tensor([len(rows) for _, _, rows in samples], dtype=torch.int64),
            "answer": torch.stack(answer) if answer else torch.zeros(0, width),
            "last": torch.stack(last) if last else torch.zeros(0, width),
        }
        if not (whole["answer"].isfinite().all() and whole["last"].isfinite().all()):
            raise ModelError(NOT_FINITE)
        self.run.save_tensors(f"{self.name}/{index:06d}.safetensors", whole)
        texts = {"ids": [name for _, name, _ in samples], "left_out": left_out, "passes": len(passes)}
        self.run.save_json(f"{self.name}/{index:06d}.json", texts)

    def _save_own(self, index: int, samples: Sequence[Sample], report: Progress | None) -> None:
        own = self._own(samples, report)
        self.run.save_tensors(f"{self.own_name}/{index:06d}.safetensors", {"means": own.means})
        self.run.save_json(f"{self.own_name}/{index:06d}.json", own.origins)

    def _own(self, samples: Sequence[Sample], report: Progress | None) -> BaselineAnswers:
        """Own answers to every turn's prompt, the mean of them where several are drawn.

        Each draw has pieces of its own, so that more samples in the same run draw only what is missing.
        """
        prompts = [row.as_prompt() for row in _turns(samples)]
        drawn: list[BaselineAnswers] = []
        for draw in range(self.config.samples):
            seeds = [
                derived_seed(self.config.seed, "own", record.number, turn, draw)
                for record, _, rows in samples
                for turn in range(len(rows))
            ]
            drawn.append(self.base.own(prompts, seeds, report, f"own answers: {self.source.name}"))
        return BaselineAnswers(torch.stack([own.means for own in drawn]).nanmean(0), drawn[0].origins)


def answers_in(conversation: Conversation) -> list[int]:
    """The places of the assistant's turns; DataError where there is none, or one that cannot be scored.

    Turns of weight 0 are not learnt, so they are not scored.
    """
    places: list[int] = []
    for index, message in enumerate(conversation.messages):
        if message["role"] != "assistant" or message.get("weight") == 0:
            continue
        if not index:
            raise DataError("messages[0] is the assistant's: there is no prompt that it answers")
        if conversation.messages[index - 1]["role"] == "assistant":
            raise DataError(f"messages[{index}] is the assistant's again: a user's turn is needed between")
        if not message["content"].strip():
            raise DataError(f"messages[{index}] is an empty answer")
        places.append(index)
    if not places:
        raise DataError("there is no answer of an assistant to score")
    return places


def answer_rows(model: Engine, conversation: Conversation) -> list[Row]:
    """A row per assistant turn: all that was said before as the prompt, the turn as the answer.

    Raises:
        DataError: what :func:`answers_in` says, or the conversation does not fit the model.
        ModelError: the chat template refuses the conversation.
    """
    answers = answers_in(conversation)
    messages: list[Message] = [{**turn} for turn in conversation.messages[: answers[-1] + 1]]
    spoken = [i for i, message in enumerate(messages) if i and message["role"] == "assistant"]
    rows = [row for index, row in zip(spoken, turn_rows(model, messages), strict=True) if index in answers]
    for index, row in zip(answers, rows, strict=True):
        if len(row) == row.prompt_length:
            raise DataError(f"messages[{index}] has no tokens in this model")
        if row.final_start == len(row):
            raise DataError(f"messages[{index}] was cut while still reasoning: it holds no answer to score")
    return rows


def _turns(samples: Sequence[Sample]) -> list[Row]:
    return [row for _, _, rows in samples for row in rows]


def _id(meta: Mapping[str, Any]) -> str | None:
    name = meta.get("id", meta.get("conversation_id"))
    return None if name is None else str(name)
