"""Answers in shards: generated and read piece by piece, each piece a finished file of the run.

A shard is a fixed slice of the list of requests and is generated in one batch from per-request seeds.
Whatever was finished before a run was killed is used as it stands; the rest is made again from the same
seeds in the same batches, so the end result is the same to the last bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mindscope.core import Progress
from mindscope.engines import Engine
from mindscope.models import Edit, Generation, Message, Read, Row, Sampling
from mindscope.store import Run


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

    @property
    def empty(self) -> bool:
        return not self.text.strip()


def generate_answers(
    model: Engine,
    requests: Sequence[AnswerRequest],
    sampling: Sampling,
    run: Run,
    name: str,
    *,
    shard_rows: int,
    reads: Mapping[str, Read] | None = None,
    stack: Callable[[Sequence[Generation]], dict[str, Tensor]] | None = None,
    progress: Progress | None = None,
) -> list[GeneratedAnswer]:
    """One answer per request, in order, shard by shard.

    With ``reads``, ``stack`` turns a shard's generations into the tensors saved beside its texts; see
    :func:`shard_tensors`. The texts are written last: a shard without its texts is not finished.
    """
    answers: list[GeneratedAnswer] = []

    def report(done_here: int, _: int = 0) -> None:
        if progress:
            progress(len(answers) + done_here, len(requests), f"{name}: answers")

    for index, shard in enumerate(slices(requests, shard_rows)):
        piece = f"{name}/answers/{index:04d}"
        if run.has(f"{piece}.json"):
            report(len(shard))
        else:
            edits = [request.edits for request in shard]
            generations = model.generate(
                [_row(model, request) for request in shard],
                sampling,
                edits=edits if any(edits) else None,
                reads=reads,
                seeds=[request.seed for request in shard],
                batch_rows=shard_rows,
                progress=report,
            )
            if stack is not None:
                run.save_tensors(f"{piece}.safetensors", stack(generations))
            texts = [_document(*pair) for pair in zip(shard, generations, strict=True)]
            run.save_json(f"{piece}.json", texts)
        answers += [
            GeneratedAnswer(entry["answer"], entry["finish"]) for entry in run.load_json(f"{piece}.json")
        ]
    return answers


def shard_tensors(run: Run, name: str, n_requests: int, shard_rows: int) -> Iterator[dict[str, Tensor]]:
    """The tensors of every shard in order; their first axis is the shard's requests."""
    for index in range(-(-n_requests // shard_rows)):
        yield run.load_tensors(f"{name}/answers/{index:04d}.safetensors")


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
    }
