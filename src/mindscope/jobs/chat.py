"""A conversation with a dial: each answer is steered along a vector, and read along all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field

from mindscope.errors import DataError, MindscopeError
from mindscope.jobs.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import BorrowingModelSpec, block_of
from mindscope.store import BorrowingDocument

if TYPE_CHECKING:
    from mindscope.features import Direction
    from mindscope.models import Message, Model, Sampling
    from mindscope.personas import PersonaVectors

Number = TypeVar("Number", int, float)

HELP = """\
/dial NUMBER   how strongly the answers are steered; 0 is off, below 0 steers against
/trait NAME    which of the loaded vectors the dial moves; it alone steers
/also NAME NUMBER   let another vector steer as well; 0 takes it away
/layer NUMBER  where it is added and read
/system TEXT   the system prompt; without a text there is none
/reset         forget the conversation
/quit          leave
"""


class ChatSpec(BorrowingModelSpec):
    """With whom the conversation is, and where its dial begins."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"coefficient": ("--coefficient", "-c")}

    vectors: tuple[Path, ...] = ()
    """Persona vectors to steer with and to read: a file or a run. May be repeated."""
    layer: int | None = None
    """The layer where the vectors are added and read; by default the choice of the run's sweep, or 0.55 of
    the depth."""
    coefficient: float | None = None
    """Where the dial stands at first; by default the choice of the run's sweep, or 1."""
    also: tuple[str, ...] = ()
    """Let another of the loaded vectors steer as well, such as evil=-1. May be repeated."""
    published_index: bool = False
    """Read --layer as published files count, where 0 is the embeddings: 20 is the output of block 19."""
    system: str = ""
    """The system prompt; without a text there is none."""
    temperature: float = Field(default=1.0, ge=0)
    """The sampling temperature of the answers; 0 takes the likeliest token."""
    max_new_tokens: int = Field(default=256, ge=1)
    """The most tokens that one answer may have."""
    seed: int = Field(default=0, ge=0)
    """The seed of everything that is drawn at random."""

    def open(self) -> SteeredChat:
        """Load the model and the vectors.

        Raises:
            DataError: vectors of another model, or a layer that has no vector.
        """
        from mindscope.models import Sampling

        model = self.load()
        loaded = [(path, vectors) for path in self.vectors for vectors in find_vectors(path, model)]
        by_trait = {vectors.trait: vectors for _, vectors in loaded}
        choice = find_choice(*loaded[0]) if loaded else None
        layer = block_of(self.layer, self.published_index)
        chat = SteeredChat(
            model,
            by_trait,
            Sampling(temperature=self.temperature, max_new_tokens=self.max_new_tokens, seed=self.seed),
            layer=_first_given(layer, choice and choice.layer, default_layer(model)),
            coefficient=_first_given(self.coefficient, choice and choice.coefficient, 1.0),
            system=self.system,
            trait=next(iter(by_trait), None),
        )
        for text in self.also:
            chat.obey(f"/also {text.replace('=', ' ')}")
        chat.directions()  # refuses a layer that has no vector before anything is typed
        return chat


class ChatTurn(BorrowingDocument):
    """An answer, and how far it lies along each vector."""

    answer: str
    reasoning: str | None
    """What was thought before the answer; None where nothing was."""
    projections: dict[str, float]
    """The mean over the answer's tokens of a . v / |v|, the steering included."""
    pushed: dict[str, float]
    """How much of each projection the dial itself put there."""
    trait: str | None
    layer: int
    coefficient: float
    also: dict[str, float]
    """The other vectors that steered, and how strongly."""

    def __str__(self) -> str:
        parts = [
            f"{name} {value:+.2f}" + (f" ({self.pushed[name]:+.2f} by the dial)" if self.pushed[name] else "")
            for name, value in self.projections.items()
        ]
        return f"  [projection at layer {self.layer}: {', '.join(parts)}]"


@dataclass
class SteeredChat:
    """A conversation and the state of its dial."""

    model: Model
    vectors: dict[str, PersonaVectors]
    sampling: Sampling
    layer: int
    coefficient: float
    system: str = ""
    trait: str | None = None
    also: dict[str, float] = field(default_factory=dict)
    """Vectors that steer beside the dial's, and how strongly."""
    messages: list[Message] = field(default_factory=list)

    def obey(self, line: str) -> str | None:
        """Do what a slash command says and hand back what to print; `None` ends the conversation.

        Raises:
            DataError: an unknown command, or a value that does not fit; the dial stays as it was.
        """
        command, _, value = line.strip().partition(" ")
        value = value.strip()
        match command:
            case "/quit" | "/exit":
                return None
            case "/help":
                return HELP.rstrip()
            case "/reset":
                self.messages.clear()
                return "the conversation is forgotten"
            case "/system":
                self.system = value
                return f"system: {value}" if value else "no system prompt"
            case "/dial":
                self.coefficient = _read_number(value, float, "/dial 1.5")
            case "/layer":
                before, self.layer = self.layer, _read_number(value, int, "/layer 7")
                try:
                    self.directions()
                except MindscopeError:
                    self.layer = before
                    raise
            case "/trait":
                self.trait = self._loaded(value)
                self.also.clear()
            case "/also":
                name, _, number = value.rpartition(" ")
                coefficient = _read_number(number, float, "/also evil -1")
                if self._loaded(name.strip()) == self.trait:
                    raise DataError(f"the dial moves {self.trait} already: set it with /dial")
                self.also.pop(name.strip(), None)
                if coefficient:
                    self.also[name.strip()] = coefficient
            case _:
                raise DataError(f"unknown command {command}; /help shows the commands")
        return self.status()

    def _loaded(self, trait: str) -> str:
        if trait not in self.vectors:
            raise DataError(f"no vectors of {trait!r} here; loaded: {', '.join(self.vectors) or 'none'}")
        return trait

    def status(self) -> str:
        """How the dial stands."""
        if self.trait is None:
            return "no vectors are loaded: start with --vectors FILE to steer"
        also = "".join(f", and {name} with {coefficient:g}" for name, coefficient in self.also.items())
        return f"{self.trait}, coefficient {self.coefficient:g}, layer {self.layer}{also}"

    def directions(self) -> dict[str, Direction]:
        """The loaded vectors at the layer of the dial, by trait."""
        return {name: vectors.direction(self.layer) for name, vectors in self.vectors.items()}

    def answer(self, text: str, on_text: Callable[[str], object] | None = None) -> ChatTurn:
        """Ask, and keep question and answer in the conversation once the answer is whole.

        `on_text` is called with each piece of the answer as it is written.
        """
        from mindscope.models import Mean, Read

        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        question: Message = {"role": "user", "content": text}
        directions = self.directions()
        pushes = self.also | ({self.trait: self.coefficient} if self.trait and self.coefficient else {})
        generation = self.model.generate(
            [self.model.chat([*system, *self.messages, question])],
            self.sampling,
            edits=[directions[name].edit(push, where="response") for name, push in pushes.items()] or None,
            reads={"mean": Read(f"resid_post.{self.layer}", Mean("final"))} if directions else None,
            seeds=[self.sampling.seed + len(self.messages)],
            on_token=(lambda _row, _token, piece: on_text(piece)) if on_text else None,
        )[0]
        self.messages += [question, {"role": "assistant", "content": generation.text}]
        added = [push * directions[name].vector for name, push in pushes.items()]
        # An answer without a token, or one that was cut while still reasoning, has no mean.
        mean = generation.reads["mean"] if directions and generation.row.final else None
        return ChatTurn(
            answer=generation.text,
            reasoning=generation.reasoning,
            projections={
                name: direction.project(mean).item()
                for name, direction in directions.items()
                if mean is not None
            },
            pushed={
                name: sum((direction.project(vector).item() for vector in added), 0.0)
                for name, direction in directions.items()
            },
            trait=self.trait,
            layer=self.layer,
            coefficient=self.coefficient,
            also=dict(self.also),
            borrowed=self.model.borrowed,
        )


def _first_given(*values: Number | None) -> Number:
    """The first value that is given; the last one always is."""
    return next(value for value in values if value is not None)


def _read_number(text: str, kind: type[Number], example: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise DataError(f"{text!r} is not a number: write for example {example}") from None
