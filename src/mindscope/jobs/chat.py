"""A conversation with a dial: each answer is steered by an expression, and read along all loaded vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field

from mindscope.core import Index
from mindscope.errors import DataError, MindscopeError
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.persona.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import find_vectors
from mindscope.jobs.specs import BorrowingModelSpec, block_of
from mindscope.jobs.steering import SteeringNames
from mindscope.store import BorrowingDocument

if TYPE_CHECKING:
    from mindscope.features import Direction, SteerExpression
    from mindscope.models import Edit, Message, Model, Sampling

Number = TypeVar("Number", int, float)

WHOLE_ANSWER = ("all", "answer", "response", "final")
"""Positions that hold every token of the final answer, over which projections are averaged."""
HELP = """\
/steer WHAT    steer by these vectors, such as 0.5 kind - 1.2 evil@14-18
/dial NUMBER   how many times that is added; 0 steers with nothing, below 0 against
/layer NUMBER  where vectors are added of which /steer does not say it, and where all are read
/system TEXT   the system prompt; without a text there is none
/reset         forget the conversation
/quit          leave
"""


class ChatSpec(BorrowingModelSpec):
    """With whom the conversation is, and where its dial begins."""

    arguments: ClassVar[tuple[str, ...]] = ("model",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"vectors": "vectors"}
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"coefficient": ("--coefficient", "-c")}

    vectors: tuple[Path, ...] = ()
    """Persona vectors to steer with and to read: a file or a run. May be repeated."""
    layer: Index | None = None
    """The layer where the vectors are added and read; by default the choice of the run's sweep, or 0.55 of
    the depth."""
    steer: str | None = Field(default=None, json_schema_extra={"metavar": "EXPRESSION"})
    """Steer by several directions at once, such as '0.5 kind - 1.2 evil@14-18': loaded vectors, runs, files,
    and latents such as sae.3/1423; by default the first of --vectors."""
    coefficient: float | None = None
    """Where the dial stands at first, which multiplies what is added; by default 1, and without --steer the
    choice of the run's sweep."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""
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
            DataError: an expression that cannot be read, vectors of another model, or a layer without one.
        """
        from mindscope.features import SteerExpression, SteerTerm
        from mindscope.models import Sampling

        asked = None if self.steer is None else SteerExpression.parse(self.steer)
        model = self.load()
        loaded = [(path, vectors) for path in self.vectors for vectors in find_vectors(path, model)]
        by_trait = {vectors.trait: vectors for _, vectors in loaded}
        choice = find_choice(*loaded[0]) if loaded else None
        layer = block_of(self.layer, self.published_index)
        names = SteeringNames(
            model,
            by_trait,
            layer=_first_given(layer, choice and choice.layer, default_layer(model)),
            published_index=self.published_index,
        )
        if asked is None and by_trait:
            asked = SteerExpression((SteerTerm(next(iter(by_trait))),))
        swept = choice.coefficient if choice is not None and self.steer is None else None
        chat = SteeredChat(
            model,
            names,
            Sampling(temperature=self.temperature, max_new_tokens=self.max_new_tokens, seed=self.seed),
            steering=asked,
            dial=_first_given(self.coefficient, swept, 1.0),
            system=self.system,
        )
        chat.check()  # before anything is typed
        return chat


class ChatTurn(BorrowingDocument):
    """An answer, and how far it lies along each vector."""

    answer: str
    reasoning: str | None
    """What was thought before the answer; None where nothing was."""
    projections: dict[str, float]
    """The mean over the answer's tokens of a . v / |v|, the steering included."""
    pushed: dict[str, float]
    """How much of each projection was added at the very place where it is read."""
    layer: int
    """Where projections are read, and vectors added that are given no layer."""
    steering: str | None
    """What was steered by, the dial multiplied in; None where nothing was."""
    dial: float

    def __str__(self) -> str:
        parts = [
            f"{name} {value:+.2f}" + (f" ({self.pushed[name]:+.2f} by the dial)" if self.pushed[name] else "")
            for name, value in self.projections.items()
        ]
        return f"  [projection at layer {self.layer}: {', '.join(parts)}]"


@dataclass
class SteeredChat:
    """A conversation and the state of its dial.

    Attributes:
        model: who answers.
        names: the vectors that are read, and whatever else the steering names.
        sampling: how answers are drawn.
        steering: what is steered by; None steers by nothing.
        dial: what the steering's additions are multiplied with; 0 turns all steering off.
        system: the system prompt; empty for none.
        messages: the conversation up to now.
    """

    model: Model
    names: SteeringNames
    sampling: Sampling
    steering: SteerExpression | None = None
    dial: float = 1.0
    system: str = ""
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
            case "/steer" | "/dial" | "/layer":
                before = self.steering, self.dial, self.names.layer
                try:
                    self._turn(command, value)
                    self.check()
                except MindscopeError:
                    self.steering, self.dial, self.names.layer = before
                    raise
            case _:
                raise DataError(f"unknown command {command}; /help shows the commands")
        return self.status()

    def _turn(self, command: str, value: str) -> None:
        from mindscope.features import SteerExpression

        match command:
            case "/steer":
                self.steering = SteerExpression.parse(value)
            case "/dial":
                self.dial = _read_number(value, float, "/dial 1.5")
            case "/layer":
                self.names.layer = _read_number(value, int, "/layer 7")

    @property
    def layer(self) -> int:
        """Where all vectors are read, and added where the steering does not say where."""
        assert self.names.layer is not None  # a chat begins with one
        return self.names.layer

    def status(self) -> str:
        """How the dial stands."""
        if self.steering is None:
            return "nothing is steered: type /steer and the name of a vector, a file or a latent"
        return f"steering {self.steering}, dial {self.dial:g}, layer {self.layer}"

    def applied(self) -> SteerExpression | None:
        """What is steered by now, the dial multiplied in; None where the dial is off."""
        return self.steering.scaled(self.dial) if self.steering is not None and self.dial else None

    def check(self) -> None:
        """Raises DataError where the steering names what there is not, or a layer without a vector."""
        if self.steering is not None:
            self.names.edits(self.steering)
        self.directions()

    def edits(self) -> tuple[Edit, ...]:
        """The edits of an answer."""
        applied = self.applied()
        return () if applied is None else self.names.edits(applied)

    def directions(self) -> dict[str, Direction]:
        """The loaded vectors at the layer where they are read, by name."""
        return {name: vectors.direction(self.layer) for name, vectors in self.names.vectors.items()}

    def answer(self, text: str, on_text: Callable[[str], object] | None = None) -> ChatTurn:
        """Ask, and keep question and answer in the conversation once the answer is whole.

        `on_text` is called with each piece of the answer as it is written.
        """
        from mindscope.models import Mean, Read

        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        question: Message = {"role": "user", "content": text}
        edits, directions, address = self.edits(), self.directions(), f"resid_post.{self.layer}"
        generation = self.model.generate(
            [self.model.chat([*system, *self.messages, question])],
            self.sampling,
            edits=list(edits) or None,
            reads={"mean": Read(address, Mean("final"))} if directions else None,
            seeds=[self.sampling.seed + len(self.messages)],
            on_token=(lambda _row, _token, piece: on_text(piece)) if on_text else None,
        )[0]
        self.messages += [question, {"role": "assistant", "content": generation.text}]
        added = [
            edit.value * edit.vector
            for edit in edits
            if edit.address == address and edit.op == "add" and edit.where in WHOLE_ANSWER
        ]
        # An answer without a token, or one that was cut while still reasoning, has no mean.
        mean = generation.reads["mean"] if directions and generation.row.final else None
        applied = self.applied()
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
            layer=self.layer,
            steering=None if applied is None else str(applied),
            dial=self.dial,
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
