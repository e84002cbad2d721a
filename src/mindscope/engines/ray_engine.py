"""A model as copies on a Ray cluster, with the engine protocol and nothing else of `Model`.

Conversations are rendered here, with the copies' tokenizer; passes are made there. What shares a pass is
decided as in process: `read` cuts rows into the same length-sorted batches, each of which goes to one copy
whole, and an open batch of answers is written by one copy from beginning to end. With the same libraries, the
same kind of processor and as many threads, the numbers are the same to the last bit.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mindscope.core import BorrowedArtifact, EngineCapabilities, ModelIdentity, take_borrowed
from mindscope.engines.copies import CopyFacts, ModelCopy
from mindscope.engines.options import EngineOptions
from mindscope.engines.pool import CopyPool, connect_cluster, count_copies
from mindscope.engines.protocol import AnswerRequests, CompanionModel
from mindscope.errors import ModelError
from mindscope.models import (
    ChatTokenizer,
    Controller,
    Edit,
    Edits,
    Generation,
    LoadOptions,
    Message,
    Read,
    Reading,
    Row,
    RowProgress,
    Sampling,
    TemplateMode,
    length_sorted_batches,
)
from mindscope.store import library_versions

COMPUTE = ("mindscope", "torch", "transformers", "interp-engine")
"""Libraries that must be the same here and on every node, or results would depend on who did the work."""


def open_ray_engine(name: str, load: LoadOptions, options: EngineOptions) -> "RayEngine":
    """Start copies of a model on a cluster.

    Args:
        name: as `Model.load` takes it; a path must lead to the same files on every node.
        load: how each copy is loaded.
        options: where, and how many.

    Raises:
        MindscopeError: Ray is not installed, no cluster answers, or it has no room for a copy.
        ModelError: the model cannot be loaded, or a node has other versions of the libraries.
    """
    ray = connect_cluster(options.ray_address)
    cpus = torch.get_num_threads()
    gpus = options.copy_gpus
    if gpus is None:
        gpus = float(load.device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0)
    # Nothing is started anew or tried again by Ray: `CopyPool` does.
    actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)(ModelCopy)

    def start() -> tuple[Any, Any]:
        begun = actor.remote(cpus)
        return begun, begun.open.remote(name, load)

    first = _FirstFacts()
    pool = CopyPool(ray, start, count_copies(ray, options, cpus, gpus), first.check)
    pool.wait_for_one()
    assert first.facts is not None
    return RayEngine(first.facts, pool)


class _FirstFacts:
    """What the first copy that is ready says of the model; the others must say the same."""

    facts: CopyFacts | None = None

    def check(self, facts: CopyFacts) -> None:
        own = library_versions()
        for library in COMPUTE:
            if facts.versions.get(library) != own.get(library):
                raise ModelError(
                    f"a node of the cluster has {library} {facts.versions.get(library)}, here it is "
                    f"{own.get(library)}: install the same on all"
                )
        self.facts = self.facts or facts
        if facts.fingerprint != self.facts.fingerprint:
            raise ModelError("two nodes of the cluster have other weights under one name: copy them again")


class RayEngine:
    """The engine protocol over copies of a model; see `open_ray_engine` and `ParallelEngine`.

    Attributes:
        vectors_of_base: as of a `Model`.
    """

    vectors_of_base: bool = False

    def __init__(self, facts: CopyFacts, pool: CopyPool) -> None:
        self.name, self._facts, self._pool = facts.name, facts, pool
        self.tokenizer: Any = facts.tokenizer
        self.template = TemplateMode()
        self.n_layers, self.d_model, self.vocab_size = facts.n_layers, facts.d_model, facts.vocab_size
        self._borrowings: dict[tuple[str, str], BorrowedArtifact] = {}

    @property
    def n_copies(self) -> int:
        """How many pieces of work are done at a time."""
        return self._pool.n_copies

    @property
    def device(self) -> torch.device:
        """Here: what is read arrives on the CPU."""
        return torch.device("cpu")

    @property
    def model_type(self) -> str:
        """The family, as transformers' configurations call it."""
        return self._facts.model_type

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored as."""
        return self._facts.dtype

    @property
    def context_length(self) -> int | None:
        """The most tokens that a row may have; None where there is no limit."""
        return self._facts.context_length

    @property
    def fingerprint(self) -> str:
        """The digest of the weights."""
        return self._facts.fingerprint

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are, and where they come from."""
        return self._facts.identity

    @property
    def borrowed(self) -> tuple[BorrowedArtifact, ...]:
        """What was made with other weights and is used with it, in the order of its first use."""
        return tuple(self._borrowings.values())

    def borrow(self, artifact: str, made_with: ModelIdentity, refusal: str) -> BorrowedArtifact:
        """See `Model.borrow`."""
        taken = take_borrowed(self, artifact, made_with, refusal)
        return self._borrowings.setdefault((artifact, made_with.fingerprint), taken)

    @property
    def capabilities(self) -> EngineCapabilities:
        """It reads, edits and writes; nobody looks on while it does."""
        return EngineCapabilities("ray", frozenset({"reads", "edits"}))

    def width_of(self, address: str) -> int:
        """The size of the vectors at an address, as a copy says."""
        ((_, width),) = self._pool.run([("width_of", (address,))])
        return width

    def with_template(self, *, clock: datetime | None = None, **options: Any) -> "RayEngine":
        """The same copies, with conversations rendered in another way: see `Model.with_template`."""
        mode = self.template.with_options(options)
        view = copy.copy(self)
        view.template = mode if clock is None else replace(mode, clock=clock)
        view.__dict__.pop("_chat", None)
        _ = view._chat  # refuses options that the template does not take
        return view

    @cached_property
    def _chat(self) -> ChatTokenizer:
        return ChatTokenizer(self.tokenizer, self.template, self.name)

    def chat(
        self, messages: Sequence[Message], answer: str | None = None, reasoning: str | None = None
    ) -> Row:
        """A conversation as a row: see `Model.chat`."""
        return self._chat.row(messages, answer, reasoning)

    def text(self, text: str, answer: str | None = None) -> Row:
        """Plain text as a row: see `Model.text`."""
        return self._chat.plain_row(text, answer)

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Ids as text: see `Model.decode`."""
        return self._chat.decode(ids, special=special)

    def read(
        self,
        rows: Sequence[Row],
        reads: Mapping[str, Read],
        *,
        edits: Edits | None = None,
        batch_tokens: int | None = None,
        progress: RowProgress | None = None,
    ) -> dict[str, Reading]:
        """Read activations of rows, each pass of them in whichever copy is idle: see `Model.read`."""
        tokens = batch_tokens or self._facts.pass_tokens
        batches = list(length_sorted_batches([len(row) for row in rows], tokens))
        if len(batches) < 2:
            batches = [list(range(len(rows)))]
        shared = self._pool.share(dict(reads))  # a dictionary's latents are read by its whole encoder
        work = (
            ("read", ([rows[i] for i in batch], shared, _edits_of(edits, batch), tokens)) for batch in batches
        )
        parts: dict[int, dict[str, Reading]] = {}
        done = 0
        for number, part in self._pool.run(work):
            parts[number] = part
            done += len(batches[number])
            if progress is not None:
                progress(done, len(rows))
        return {
            name: _in_order([parts[number][name] for number in range(len(batches))], batches)
            for name in reads
        }

    def read_many(
        self, chunks: Iterable[Sequence[Row]], reads: Mapping[str, Read]
    ) -> Iterator[dict[str, Reading]]:
        """What `read` gives of one chunk of rows after the other; copies are ahead of what is taken.

        A chunk is read by one copy, in the passes that it would have in process.
        """
        shared = self._pool.share(dict(reads))
        work = (("read", (chunk, shared, None, self._facts.pass_tokens)) for chunk in chunks)
        waiting: dict[int, dict[str, Reading]] = {}
        following = 0
        for number, reading in self._pool.run(work):
            waiting[number] = reading
            while following in waiting:
                yield waiting.pop(following)
                following += 1

    def generate(
        self,
        rows: Sequence[Row],
        sampling: Sampling | None = None,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
        progress: RowProgress | None = None,
        on_token: Any = None,
        controller: Controller | None = None,
    ) -> list[Generation]:
        """Write an answer to each row, in one copy: see `Model.generate`.

        Raises:
            ModelError: something is to look on while answers are written.
        """
        if on_token is not None or controller is not None:
            self.capabilities.require("this job", "controllers")
        answers = dict(
            self.generate_unordered(
                rows, sampling, edits=edits, reads=reads, seeds=seeds, batch_rows=batch_rows
            )
        )
        if progress is not None:
            progress(len(rows), len(rows))
        return [answers[i] for i in range(len(rows))]

    def generate_unordered(
        self,
        rows: Sequence[Row],
        sampling: Sampling | None = None,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
    ) -> Iterator[tuple[int, Generation]]:
        """The same answers with each row's index, once all are written."""
        asked = AnswerRequests(rows, sampling or Sampling(), edits, reads, seeds, batch_rows)
        for _, answers in self.generate_many([asked]):
            yield from answers

    def generate_many(
        self, batches: Iterable[AnswerRequests]
    ) -> Iterator[tuple[int, list[tuple[int, Generation]]]]:
        """Answer several open batches, each in whichever copy is idle: its number, and what
        `generate_unordered` gives of it.
        """
        yield from self._pool.run(("generate", (asked, self.template)) for asked in batches)

    def call_many(
        self,
        function: Callable[..., Any],
        shared: Any,
        arguments: Iterable[tuple[Any, ...]],
        *,
        companion: CompanionModel | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Call a function with whole models, each piece in whichever copy is idle: see `ParallelEngine`."""
        sent = self._pool.share(shared)
        asked = (function, self.template, companion, self.vectors_of_base, sent)
        yield from self._pool.run(("call", (*asked, own)) for own in arguments)


def _edits_of(edits: Edits | None, batch: Sequence[int]) -> Edits | None:
    """The edits of some rows: those of all, or each one's own."""
    if not edits or isinstance(edits[0], Edit):
        return edits
    return [row for i in batch if not isinstance(row := edits[i], Edit)]


def _in_order(parts: Sequence[Reading], batches: Sequence[Sequence[int]]) -> Reading:
    """Readings of batches as one of all rows, in the caller's order."""
    order = [row for batch in batches for row in batch]
    places = torch.empty(len(order), dtype=torch.long)
    places[order] = torch.arange(len(order))
    valid = torch.cat([part.valid for part in parts])[places]
    if isinstance(parts[0].values, Tensor):
        return Reading(torch.cat([torch.as_tensor(part.values) for part in parts])[places], valid)
    values = [value for part in parts for value in part.values]
    return Reading([values[place] for place in places.tolist()], valid)
