"""`mindscope chat`: a conversation in the terminal, with a dial that steers the answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mindscope.cli import options, output
from mindscope.errors import DataError, MindscopeError
from mindscope.jobs import find_vectors, load_model
from mindscope.jobs.persona_run import default_layer, find_choice

if TYPE_CHECKING:
    from mindscope.models import Message, Model, Sampling
    from mindscope.personas import PersonaVectors

Number = TypeVar("Number", int, float)

HELP = """\
/dial NUMBER   how strongly the answers are steered; 0 is off, below 0 steers against
/trait NAME    which of the loaded vectors steers
/layer NUMBER  where it is added and read
/system TEXT   the system prompt; without a text there is none
/reset         forget the conversation
/quit          leave
"""


def chat(
    model: options.ModelName,
    vectors: Annotated[
        list[Path] | None,
        typer.Option(help="Vectors to steer with and read: a file or run. May be repeated."),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="By default the choice of the run's sweep, or 0.55 of the depth.", show_default=False
        ),
    ] = None,
    coefficient: Annotated[
        float | None,
        typer.Option(
            "--coefficient", "-c", help="Where the dial stands; the sweep's choice, or 1.", show_default=False
        ),
    ] = None,
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0)] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 256,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object an answer.")] = False,
) -> None:
    """Talk to a model, steer it with a dial, and see each answer's projection on the loaded vectors.

    Type /help for the commands. Lines may also be piped in.
    """
    from mindscope.models import Sampling

    loaded = load_model(model, dtype, device)
    found = [(path, each) for path in vectors or () for each in find_vectors(path, loaded)]
    known = {each.trait: each for _, each in found}
    choice = find_choice(*found[0]) if found else None
    talk = SteeredChat(
        loaded,
        known,
        Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed),
        layer=_first(layer, choice and choice.layer, default_layer(loaded)),
        coefficient=_first(coefficient, choice and choice.coefficient, 1.0),
        system=system,
        trait=next(iter(known), None),
    )
    talk.directions()  # refuses a layer that has no vector before anything is typed
    for line in _lines(talk):
        try:
            if line.startswith("/"):
                if (said := talk.obey(line)) is None:
                    return
                output.say(said)
            elif json:
                turn = talk.answer(line)
                output.print_json({"question": line, **turn.to_json()})
            else:
                turn = talk.answer(line, lambda text: typer.echo(text, nl=False))
                typer.echo(f"\n{turn}" if turn.projections else "")
        except MindscopeError as error:
            output.print_error(str(error), kind=type(error).__name__, as_json=json)
        except KeyboardInterrupt:
            output.say("\n(stopped; this turn is forgotten)")


@dataclass(frozen=True)
class ChatTurn:
    """An answer, and how far it lies along each vector."""

    answer: str
    projections: dict[str, float]
    """Mean over the answer's tokens of a . v / |v|, the steering included."""
    pushed: dict[str, float]
    """How much of each projection the dial itself put there."""
    trait: str | None
    layer: int
    coefficient: float

    def to_json(self) -> dict[str, object]:
        return {
            "answer": self.answer,
            "projections": self.projections,
            "pushed": self.pushed,
            "trait": self.trait,
            "layer": self.layer,
            "coefficient": self.coefficient,
        }

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
    messages: list[Message] = field(default_factory=list)

    def obey(self, line: str) -> str | None:
        """Do what a slash command says and hand back what to tell; `None` ends the conversation."""
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
                self.coefficient = _number(value, float, "/dial 1.5")
            case "/layer":
                before, self.layer = self.layer, _number(value, int, "/layer 7")
                try:
                    self.directions()
                except MindscopeError:
                    self.layer = before
                    raise
            case "/trait":
                if value not in self.vectors:
                    raise DataError(
                        f"no vectors of {value!r} here; loaded: {', '.join(self.vectors) or 'none'}"
                    )
                self.trait = value
            case _:
                raise DataError(f"unknown command {command}; /help shows the commands")
        return self.status()

    def status(self) -> str:
        """How the dial stands."""
        if self.trait is None:
            return "no vectors are loaded: start with --vectors FILE to steer"
        return f"{self.trait}, coefficient {self.coefficient:g}, layer {self.layer}"

    def directions(self):
        """The loaded vectors at the layer of the dial, by trait."""
        return {name: vectors.direction(self.layer) for name, vectors in self.vectors.items()}

    def answer(self, text: str, on_text: Callable[[str], object] | None = None) -> ChatTurn:
        """Ask, and keep question and answer in the conversation once the answer is whole."""
        from mindscope.models import Mean, Read

        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        question: Message = {"role": "user", "content": text}
        directions = self.directions()
        steering = directions[self.trait] if self.trait and self.coefficient else None
        generation = self.model.generate(
            [self.model.chat([*system, *self.messages, question])],
            self.sampling,
            edits=[steering.edit(self.coefficient, where="response")] if steering else None,
            reads={"mean": Read(f"resid_post.{self.layer}", Mean("answer"))} if directions else None,
            seeds=[self.sampling.seed + len(self.messages)],
            on_token=(lambda _row, _token, piece: on_text(piece)) if on_text else None,
        )[0]
        self.messages += [question, {"role": "assistant", "content": generation.text}]
        written = bool(generation.row.answer)
        mean = generation.reads["mean"] if directions else None
        return ChatTurn(
            generation.text,
            {
                name: each.project(mean).item()
                for name, each in directions.items()
                if written and mean is not None
            },
            {
                name: self.coefficient * each.project(steering.vector).item() if steering else 0.0
                for name, each in directions.items()
            },
            self.trait,
            self.layer,
            self.coefficient,
        )


def _first(*values: Number | None) -> Number:
    """The first value that is given; the last one always is."""
    return next(value for value in values if value is not None)


def _lines(talk: SteeredChat) -> Iterator[str]:
    """What is typed, or piped in."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    import readline  # noqa: F401  (gives the prompt a history and editing)

    output.say(f"{talk.model.name}: {talk.status()}; /help shows the commands")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            output.say("")
            return
        if line:
            yield line


def _number(text: str, kind: type[Number], example: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise DataError(f"{text!r} is no number; write for example {example}") from None
