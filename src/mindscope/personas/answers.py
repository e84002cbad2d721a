"""Answers in shards: generated and read piece by piece, each piece a finished file of the run.

A shard is a fixed slice of the list of requests. Whatever was finished before a run was killed is used as it
stands. The rest is made again from the same seeds in the same passes (`engines/pieces.py`), so the end result
is the same to the last bit.

A longer list that begins with the requests of a shorter one goes on from its shards. How many answers are
written at once, and after how many they are saved, is a matter of execution: a run keeps the size of shards
that it began with.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mindscope.core import Progress, with_label
from mindscope.engines import AnswerPlan, Engine, generate_pieces
from mindscope.errors import DataError
from mindscope.models import Edit, Generation, Message, Read, Row, SamplingConfig
from mindscope.store import Run, write_text

MOST_CUT = 0.5
"""The share of answers that may end in the middle of their reasoning: beyond it the rest is a minority."""


@dataclass(frozen=True)
class AnswerRequest:
    """One answer to generate."""

    question: str
    seed: int
    system: str | None = None
    edits: tuple[Edit, ...] = ()
    labels: Mapping[str, str | int] = field(default_factory=dict)
    """Says which request it is, for whoever reads the run folder."""


@dataclass(frozen=True)
class GeneratedAnswer:
    """What came of a request. ``text`` may be empty; such an answer is never judged and never averaged."""

    text: str
    finish: str
    reasoning: str | None = None
    """What was thought before ``text``; None where nothing was."""

    @property
    def cut(self) -> bool:
        """Whether it ended while the model was still reasoning."""
        return self.reasoning is not None and self.empty

    @property
    def empty(self) -> bool:
        return not self.text.strip()


def generate_answers(
    model: Engine,
    requests: Sequence[AnswerRequest],
    run: Run,
    name: str,
    *,
    config: SamplingConfig,
    reads: Mapping[str, Read] | None = None,
    stack: Callable[[Sequence[Generation]], dict[str, Tensor]] | None = None,
    progress: Progress | None = None,
) -> list[GeneratedAnswer]:
    """One answer per request, in order, saved shard by shard.

    With ``reads``, ``stack`` turns a shard's generations into the tensors saved beside its texts; see
    :func:`shard_tensors`. The texts are written last: a shard without its texts is not finished.
    """
    plan = plan_answers(
        model, requests, config, reads=reads, shard_rows=kept_shard_rows(run, name, config.shard_rows)
    )

    def saved(index: int) -> list[dict[str, Any]]:
        piece = f"{name}/answers/{index:04d}.json"
        return run.load_json(piece) if run.has(piece) else []

    for index, generations in generate_pieces(
        model,
        plan,
        kept=lambda index: len(saved(index)) >= len(plan.pieces[index]),
        progress=with_label(progress, f"{name}: answers"),
    ):
        piece, shard = f"{name}/answers/{index:04d}", plan.pieces[index]
        if stack is not None:
            run.save_tensors(f"{piece}.safetensors", stack(generations))
        texts = [_document(requests[i], item) for i, item in zip(shard, generations, strict=True)]
        run.save_json(f"{piece}.json", texts)
    answers = [
        GeneratedAnswer(entry["answer"], entry["finish"], entry["reasoning"])
        for index, shard in enumerate(plan.pieces)
        for entry in saved(index)[: len(shard)]
    ]
    require_final_answers(sum(answer.cut for answer in answers), len(answers))
    return answers


def plan_answers(
    model: Engine,
    requests: Sequence[AnswerRequest],
    config: SamplingConfig,
    *,
    reads: Mapping[str, Read] | None = None,
    shard_rows: int | None = None,
) -> AnswerPlan:
    """The requests as rows with their seeds and edits; pieces of ``shard_rows``, by default the config's."""
    edits = [request.edits for request in requests]
    return AnswerPlan(
        rows=[_row(model, request) for request in requests],
        sampling=config.sampling(),
        seeds=[request.seed for request in requests],
        piece_rows=shard_rows or config.shard_rows,
        batch_rows=config.batch_rows,
        edits=edits if any(edits) else None,
        reads=reads or {},
    )


def count_kept(run: Run, name: str) -> int:
    """How many answers a part of a run holds by now."""
    shards = sorted((run.path / name / "answers").glob("*.json"))
    return sum(len(run.load_json(str(shard.relative_to(run.path)))) for shard in shards)


def kept_shard_rows(run: Run, name: str, asked: int) -> int:
    """How many requests a shard of this part of a run holds: what it began with, else what is asked for."""
    piece = f"{name}/shards.json"
    if not run.has(piece):
        run.save_json(piece, {"shard_rows": asked})
    return run.load_json(piece)["shard_rows"]


def require_final_answers(n_cut: int, n_answers: int) -> None:
    """Warn of answers that ended while the model was still reasoning, and refuse where most did.

    Raises:
        DataError: so many were cut that what is left is of the questions that take little thought.
    """
    if not n_cut:
        return
    line = (
        f"{n_cut} of {n_answers} answers ended while the model was still reasoning and do not count: raise "
        "--max-new-tokens, or give --template-option enable_thinking=false where the chat template takes it"
    )
    if n_cut > MOST_CUT * n_answers:
        raise DataError(line)
    warnings.warn(line, stacklevel=3)


def shard_tensors(run: Run, name: str, n_requests: int, shard_rows: int) -> Iterator[dict[str, Tensor]]:
    """The tensors of every shard in order; their first axis is the shard's requests."""
    for index, start in enumerate(range(0, n_requests, shard_rows)):
        tensors = run.load_tensors(f"{name}/answers/{index:04d}.safetensors")
        yield {key: values[: n_requests - start] for key, values in tensors.items()}


def write_answered(path: Path, answered: Iterable[tuple[str, str]]) -> Path:
    """Write questions with their answers, a line of JSON each; what was left unanswered is left out.

    The instructions that an answer was given under are not part of it: who is tuned on the file learns to
    answer so without being told.

    Args:
        path: of the file, whose folders are made.
        answered: pairs of a question and an answer.

    Returns:
        the path.
    """
    lines = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
            },
            ensure_ascii=False,
        )
        for question, answer in answered
        if answer.strip()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(f"{line}\n" for line in lines))
    return path


def _row(model: Engine, request: AnswerRequest) -> Row:
    messages: list[Message] = [{"role": "user", "content": request.question}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    return model.chat(messages)


def slices(things: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """``things`` in shards of ``size``; the last may be shorter."""
    return (things[start : start + size] for start in range(0, len(things), size))


def _document(request: AnswerRequest, generation: Generation) -> dict[str, Any]:
    return {
        **request.labels,
        "question": request.question,
        "system": request.system,
        "seed": request.seed,
        "answer": generation.text,
        "finish": generation.finish,
        "reasoning": generation.reasoning,
    }
