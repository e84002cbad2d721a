"""What a steering file holds besides its vectors, and what a check of one finds; no torch is needed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mindscope.store import Document

CheckName = Literal[
    "vectors", "model", "prompts", "place", "layer", "operation", "coefficient", "positions", "precision"
]
CHECKS: tuple[CheckName, ...] = (
    *("vectors", "model", "prompts", "place", "layer", "operation", "coefficient", "positions", "precision"),
)

RecordedOperation = Literal["add", "ablate", "clamp", "cap", "replace"]
"""Those of `models.Edit`."""


class RecordedEdit(Document):
    """One edit of a steering file; its vector lies beside it."""

    vector: str
    """The name of the vector's tensor."""
    address: str
    operation: RecordedOperation
    value: float
    unit: str
    """What the value counts: times the vector, with its norm; or the projection in activations' units."""
    positions: str | int
    """The tokens that are edited by name; a number is the first of an answer's tokens that is."""


class ProbePoint(Document):
    """Log-probabilities of the next token behind a prompt, or behind the beginning of an answer."""

    ids: tuple[int, ...]
    prompt_length: int = Field(ge=1)
    tokens: tuple[int, ...]
    """The tokens that are looked at: the likeliest without steering and the likeliest with it."""
    texts: tuple[str, ...]
    """The same tokens as text, for people."""
    unsteered: tuple[float, ...]
    """Their log-probabilities in nats, measured in float32 where the file was made in it."""
    steered: tuple[float, ...]


class SteeringProbe(Document):
    """One prompt, and what steering does to what follows it."""

    question: str
    points: tuple[ProbePoint, ...]
    """Where the answer begins, and behind its first tokens."""


class ProbeResolution(Document):
    """How far the expected changes are from those of the nearest fault of each kind.

    The root mean square of the difference as a share of the changes' own; None where there is no such fault.
    What is below the noise of a precision cannot be told there.
    """

    place: float | None
    layer: float | None
    operation: float | None
    coefficient: float | None
    """Of a coefficient that is 10 % larger or smaller."""
    positions: float | None


class FileCheck(Document):
    """One line of a check."""

    name: CheckName
    passed: bool | None
    """None where the precision cannot tell."""
    finding: str


class SteeringFileReport(Document):
    """What a check of a steering file against a model found."""

    file: str
    model: str
    checks: tuple[FileCheck, ...]
    error: float | None
    """The root mean square between the measured and the expected changes, as a share of the changes' own."""
    tolerance: float
    """The largest error that is rounding at the model's precision."""

    @property
    def agrees(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)
