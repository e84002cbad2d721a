"""Where a model runs: one protocol, and what a method may ask of it.

A method that only reads and generates takes an `Engine`: it works in process, and where another engine stands
in. A method that needs more (gradients, attention patterns, edits) says so before it begins, and an engine
that cannot refuses in one line: see `core.EngineCapabilities.require`.

`models.Model` is the engine in process, `RayEngine` copies of a model on a cluster. An engine elsewhere gives
the same numbers: it changes where the work runs, never the result. It implements this protocol and nothing
else of `Model` (`tests/engines` runs the methods on a stand-in that has nothing else).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import torch

from mindscope.core import BorrowedArtifact, EngineCapabilities, ModelIdentity
from mindscope.errors import ModelError
from mindscope.models import (
    Controller,
    Edits,
    Generation,
    LoadOptions,
    Message,
    Model,
    Read,
    Reading,
    Row,
    Sampling,
    TemplateMode,
)


@runtime_checkable
class Engine(Protocol):
    """A loaded model, wherever it runs; `models.Model` says what each method does."""

    name: str
    n_layers: int
    d_model: int
    tokenizer: Any
    template: TemplateMode
    """How conversations are rendered."""

    @property
    def model_type(self) -> str:
        """The family, as transformers' configurations call it."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored as."""
        ...

    @property
    def context_length(self) -> int | None:
        """The most tokens that a row may have; None where there is no limit."""
        ...

    @property
    def device(self) -> torch.device:
        """Where to compute what is made of its activations: on its own device, or here on the CPU."""
        ...

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary has."""
        ...

    @property
    def fingerprint(self) -> str:
        """The digest of the weights."""
        ...

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are, and where they come from."""
        ...

    @property
    def borrowed(self) -> tuple[BorrowedArtifact, ...]:
        """What was made with other weights and is used with it; results name it."""
        ...

    def borrow(self, artifact: str, made_with: ModelIdentity, refusal: str) -> BorrowedArtifact:
        """Take what was made with a related model, where that is allowed."""
        ...

    @property
    def capabilities(self) -> EngineCapabilities:
        """What it can do."""
        ...

    def width_of(self, address: str) -> int:
        """The size of the vectors at an address; ModelError where it leads nowhere."""
        ...

    def with_template(self, *, clock: datetime | None = None, **options: Any) -> "Engine":
        """The same model with its conversations rendered in another way."""
        ...

    def chat(
        self, messages: Sequence[Message], answer: str | None = None, reasoning: str | None = None
    ) -> Row:
        """A conversation as a row."""
        ...

    def text(self, text: str, answer: str | None = None) -> Row:
        """Plain text as a row."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text."""
        ...

    def read(
        self,
        rows: Sequence[Row],
        reads: Mapping[str, Read],
        *,
        edits: Edits | None = None,
        batch_tokens: int | None = None,
        progress: Any = None,
    ) -> dict[str, Reading]:
        """Read activations of rows."""
        ...

    def generate(
        self,
        rows: Sequence[Row],
        sampling: Sampling,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
        progress: Any = None,
        on_token: Any = None,
        controller: Controller | None = None,
    ) -> list[Generation]:
        """Write answers."""
        ...

    def generate_unordered(
        self,
        rows: Sequence[Row],
        sampling: Sampling,
        *,
        edits: Edits | None = None,
        reads: Mapping[str, Read] | None = None,
        seeds: Sequence[int] | None = None,
        batch_rows: int = 64,
    ) -> Iterator[tuple[int, Generation]]:
        """The same, with each row's index, handed out as answers end."""
        ...


@dataclass(frozen=True)
class AnswerRequests:
    """Rows that are answered in one open batch: the arguments of `generate_unordered`."""

    rows: Sequence[Row]
    sampling: Sampling
    edits: Edits | None = None
    reads: Mapping[str, Read] | None = None
    seeds: Sequence[int] | None = None
    batch_rows: int = 64


@dataclass(frozen=True)
class CompanionModel:
    """Another model that each copy loads beside its own, once, and keeps: one that judges answers.

    Attributes:
        name: as `Model.load` takes it; a path must lead to the same files on every node.
        options: how it is loaded.
    """

    name: str
    options: LoadOptions


@runtime_checkable
class ParallelEngine(Protocol):
    """An engine that does several pieces of work at a time: whoever has many hands them over together.

    A piece is what would be one call in process, and gives the same.
    """

    def read_many(
        self, chunks: Iterable[Sequence[Row]], reads: Mapping[str, Read]
    ) -> Iterator[dict[str, Reading]]:
        """What `read` gives of one chunk of rows after the other, in order."""
        ...

    def generate_many(
        self, batches: Iterable[AnswerRequests]
    ) -> Iterator[tuple[int, list[tuple[int, Generation]]]]:
        """The number of each batch, in no order, and what `generate_unordered` gives of it."""
        ...

    def call_many(
        self,
        function: Callable[..., Any],
        shared: Any,
        arguments: Iterable[tuple[Any, ...]],
        *,
        companion: CompanionModel | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """The number of each piece, in no order, and what `function(model, shared, *arguments)` gives of it.

        For what takes more of a model than this protocol has: `model` is a whole `models.Model`, there.

        Args:
            function: one of a module of this package; it changes nothing of the model.
            shared: what all pieces have in common; it is sent once.
            arguments: of each piece.
            companion: the model to give in place of the engine's own, in its template's own mode.
        """
        ...


def call_with_model(engine: Engine, subject: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function(model, *arguments)` gives with a whole model: here in process, or in one copy elsewhere.

    Args:
        engine: which model is meant.
        subject: what needs it, for the error.
        function: one of a module of this package; it changes nothing of the model.
        arguments: what it takes besides.

    Raises:
        ModelError: the engine is neither.
    """
    if isinstance(engine, ParallelEngine):
        ((_, result),) = engine.call_many(_call, function, [arguments])
        return result
    if isinstance(engine, Model):
        return function(engine, *arguments)
    raise ModelError(
        f"{subject} needs the model itself, which the engine '{engine.capabilities.engine}' does not give: "
        "load the model in process"
    )


def _call(model: Model, function: Callable[..., Any], *arguments: Any) -> Any:
    return function(model, *arguments)
