"""What to steer, as one line of text: `0.5 kind - 1.2 evil@14-18 + cap 2 loud[answer]`.

    expression   =  term  (("+" | "-") term)*
    term         =  [operation] [number ["*"]] name ["@" layers] ["[" positions "]"]
    operation    =  add | increment | ablate | clamp | cap | replace        ; add, where none is written
    name         =  evil | runs/patient | sae.3/1423 | "any text"           ; "" within quotes is one quote
    layers       =  all | 14 | 14-18 | 3,7,10-12                            ; blocks, counted from 0
    positions    =  prompt | answer | response | ... | from 5               ; an answer's tokens from 5 on

A sign has a blank before it, so that names may hold hyphens. What a name means is not said here:
`steer_edits.py` makes edits of an expression, and asks somebody for the directions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Literal, NoReturn, get_args

from mindscope.errors import DataError

if TYPE_CHECKING:
    from mindscope.models import AnswerTokens, Where

SteerOperation = Literal["add", "increment", "ablate", "clamp", "cap", "replace"]
"""What is done with a direction; those of `models.Edit`, and `increment`, which adds over several layers the
differences from one to the next (arXiv 2507.21509, appendix J)."""
SteerLayers = tuple[int, ...] | Literal["all"] | None
"""The blocks that are named, in order; None where none is, and what a name means decides."""

OPERATIONS: tuple[SteerOperation, ...] = get_args(SteerOperation)
ADDED: frozenset[SteerOperation] = frozenset(("add", "increment"))
"""Operations whose number is how many times the vector is added, so that a sign may stand before them."""
HEIGHTS: frozenset[SteerOperation] = frozenset(("clamp", "cap"))
"""Operations whose number is a projection, in the units of the activations; it must be said."""

LONGEST = 10_000
"""Characters of an expression: a line that a person writes is far below, and a server takes no more."""
DEEPEST = 9_999
"""No model has this many blocks; a range that goes further is a slip, and would take memory."""

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w./:~\\-])")
_OPERATION = re.compile(rf"({'|'.join(OPERATIONS)})(?=\s)")
_NAME = re.compile(r"[^\W\d][\w./:~\\-]*|[./~\\][\w./:~\\-]*|_[\w./:~\\-]*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_LAYERS = re.compile(r"all\b|\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")
_FROM = re.compile(r"from\s+(\d{1,9})")


@dataclass(frozen=True)
class SteerTerm:
    """One direction and what is done with it.

    Attributes:
        name: of the direction: a loaded vector, a run or file, a latent such as `sae.3/1423`.
        coefficient: how many times the vector is added (add, increment, replace), or the projection that is
            set (clamp) or not exceeded (cap), in the units of the activations. An ablation has none: 1.
        layers: the blocks behind which it is done; None for those that the name itself means.
        operation: see `models.Edit`.
        where: the tokens that are edited; None for those that are edited where nothing is said.
        column: where the term's name stands in the text that it was read from, counted from 1.

    Raises:
        DataError: a number that is infinite, unordered layers, or a number that the operation has no use for.
    """

    name: str
    coefficient: float = 1.0
    layers: SteerLayers = None
    operation: SteerOperation = "add"
    where: Where | AnswerTokens | None = None
    column: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.name or not isfinite(self.coefficient):
            raise DataError(f"a term needs a name and a finite number, not {self.name!r}, {self.coefficient}")
        if self.coefficient == 0:
            object.__setattr__(self, "coefficient", 0.0)  # -0 is written as 0
        if self.operation == "ablate" and self.coefficient != 1:
            raise DataError("ablate takes the whole direction out, and no number")
        if isinstance(self.layers, tuple) and list(self.layers) != sorted(set(self.layers)):
            raise DataError(f"layers stand in order and once each, not {self.layers}")
        if isinstance(self.layers, tuple) and not (
            self.layers and self.layers[0] >= 0 and self.layers[-1] <= DEEPEST
        ):
            raise DataError(f"layers are blocks, counted from 0, not {self.layers}")

    def __str__(self) -> str:
        """The term as it is written, its sign before its number."""
        parts = [] if self.operation == "add" else [self.operation]
        name = _written_name(self.name) + _written_layers(self.layers) + _written_where(self.where)
        if self.operation == "add" and self.coefficient == -1:
            return f"-{name}"
        if self.coefficient != 1 or self.operation in HEIGHTS:
            parts.append(_written_number(self.coefficient))
        return " ".join([*parts, name])


@dataclass(frozen=True)
class SteerExpression:
    """What to steer: terms, which are done in their order. `str` writes what `parse` reads.

    Attributes:
        terms: one at least.
        text: what it was read from, so that an error can point at a name in it.

    Raises:
        DataError: no term.
    """

    terms: tuple[SteerTerm, ...]
    text: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.terms:
            raise DataError("there is nothing to steer with: write for example '0.5 kind - 1.2 evil@14-18'")

    @classmethod
    def parse(cls, text: str) -> SteerExpression:
        """The expression that a line of text means.

        Raises:
            DataError: what cannot be read, and the column where it stands.
        """
        return _Reader(text).read_expression()

    def __str__(self) -> str:
        first, *others = self.terms
        written = str(first)
        for term in others:
            negative = term.operation in ADDED and term.coefficient < 0
            shown = replace(term, coefficient=-term.coefficient) if negative else term
            written += f" {'-' if negative else '+'} {shown}"
        return written

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all directions, each once."""
        return tuple(dict.fromkeys(term.name for term in self.terms))

    @property
    def adds(self) -> bool:
        """Whether anything is added, and can be turned round."""
        return any(term.operation in ADDED for term in self.terms)

    def scaled(self, factor: float) -> SteerExpression:
        """With what is added multiplied by a number: -1 steers against. Other operations stay as they are."""
        terms = (
            replace(term, coefficient=term.coefficient * factor) if term.operation in ADDED else term
            for term in self.terms
        )
        return replace(self, terms=tuple(terms))


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str):
        self.text, self.place = text, 0
        if len(text) > LONGEST:
            raise DataError(f"an expression of {len(text)} characters: {LONGEST} are the most")

    def read_expression(self) -> SteerExpression:
        self._skip()
        if self.place == len(self.text):
            raise DataError("there is nothing to steer with: write for example '0.5 kind - 1.2 evil@14-18'")
        terms = [self._read_term(self._take_sign())]
        while self.place < len(self.text):
            begins = self.place
            sign = self._take_sign() if self.text[begins - 1].isspace() else None
            if sign is None:
                self._refuse(
                    "'+' or '-' with a blank before it must stand between terms; a name that holds a blank "
                    'stands in "double quotes"',
                    begins,
                )
            terms.append(self._read_term(sign))
        return SteerExpression(tuple(terms), self.text)

    def _read_term(self, sign: str | None) -> SteerTerm:
        begins, operation = self.place, self._take_operation()
        if sign == "-" and operation not in ADDED:
            self._refuse(f"'-' stands before what is added; {operation} is joined with '+'", begins)
        inner = None if operation in ADDED and sign else self._take_sign(before_number=True)
        begins = self.place
        number = self._take_number()
        if number is not None and operation == "ablate":
            self._refuse("ablate takes the whole direction out, and no number", begins)
        if number is None and operation in HEIGHTS:
            self._refuse(f"{operation} needs the projection: write for example {operation} 2 evil", begins)
        name, begins = self._take_name(), self.place
        column = begins + 1
        self.place += name[1]
        value = (1.0 if number is None else number) * (-1 if "-" in (sign, inner) else 1)
        layers, where = self._take_layers(), self._take_where()
        self._skip()
        return SteerTerm(name[0], value, layers, operation, where, column)

    def _take_sign(self, before_number: bool = False) -> str | None:
        sign = self.text[self.place : self.place + 1]
        if sign not in ("+", "-") or not sign:
            return None
        begins = self.place
        self.place += 1
        self._skip()
        if before_number and not _NUMBER.match(self.text, self.place):
            self._refuse("a sign must stand before a number here", begins)
        return sign

    def _take_operation(self) -> SteerOperation:
        """An operation's word, where something follows that it can be about."""
        match = _OPERATION.match(self.text, self.place)
        if match is None:
            return "add"
        after = self.text[match.end() :].lstrip()
        if not after or re.match(r"[+-]\s", after):
            return "add"  # a trait of that name stands alone
        self.place = match.end()
        self._skip()
        return next(operation for operation in OPERATIONS if operation == match[1])

    def _take_number(self) -> float | None:
        match = _NUMBER.match(self.text, self.place)
        if match is None:
            return None
        number = float(match[0])
        if not isfinite(number):
            self._refuse(f"{match[0]} is too large a number", self.place)
        self.place = match.end()
        self._skip()
        if self.text.startswith("*", self.place):
            self.place += 1
            self._skip()
        return number

    def _take_name(self) -> tuple[str, int]:
        """The name that stands here, and how many characters it takes."""
        if quoted := _QUOTED.match(self.text, self.place):
            if not quoted[1]:
                self._refuse("a name must not be empty", self.place)
            return quoted[1].replace('""', '"'), len(quoted[0])
        if self.text.startswith('"', self.place):
            self._refuse("a quotation mark is not closed", self.place)
        match = _NAME.match(self.text, self.place)
        if match is None:
            self._refuse(
                'a name is missing; one that begins with a number or a sign stands in "double quotes"'
            )
        return match[0], len(match[0])

    def _take_layers(self) -> SteerLayers:
        if not self.text.startswith("@", self.place):
            return None
        begins = self.place = self.place + 1
        match = _LAYERS.match(self.text, begins)
        if match is None:
            self._refuse("layers are written @14, @14-18, @3,7,10-12 or @all", begins)
        self.place = match.end()
        if match[0] == "all":
            return "all"
        layers: set[int] = set()
        for part in match[0].split(","):
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if high < low:
                self._refuse(f"the layers {part} go backwards", begins)
            if high > DEEPEST:
                self._refuse(f"no model has a layer {high}", begins)
            layers.update(range(low, high + 1))
        return tuple(sorted(layers))

    def _take_where(self) -> Where | AnswerTokens | None:
        from mindscope.models import WHERES, AnswerTokens

        if not self.text.startswith("[", self.place):
            return None
        begins, end = self.place + 1, self.text.find("]", self.place)
        if end < 0:
            self._refuse("a bracket is not closed", self.place)
        words = self.text[begins:end].strip()
        self.place = end + 1
        if match := _FROM.fullmatch(words):
            return AnswerTokens(int(match[1]))
        where: Where | None = None
        for known in WHERES:
            where = known if known == words else where
        return where or self._refuse(f"tokens are {', '.join(WHERES)}, or from 5 on: [from 5]", begins)

    def _skip(self) -> None:
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1

    def _refuse(self, why: str, place: int | None = None) -> NoReturn:
        raise error_at(self.text, (self.place if place is None else place) + 1, why)


def error_at(text: str, column: int, why: str) -> DataError:
    """What is wrong at a column of an expression, counted from 1."""
    here = text[column - 1 :]
    before = f"before {here[:20]!r}" if here.strip() else "at the end"
    return DataError(f"steering {text!r}, column {column}, {before}: {why}")


def _written_number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _written_name(name: str) -> str:
    if _NAME.fullmatch(name) and name not in OPERATIONS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _written_layers(layers: SteerLayers) -> str:
    if layers is None:
        return ""
    if layers == "all":
        return "@all"
    spans: list[list[int]] = []
    for layer in layers:
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return "@" + ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in spans)


def _written_where(where: Where | AnswerTokens | None) -> str:
    if where is None:
        return ""
    return f"[{where}]" if isinstance(where, str) else f"[from {where.start}]"
