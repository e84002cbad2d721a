"""What the suite asks and finds; needs no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs import ModelSpec
from mindscope.store import Document, SavedDocument

Dialect = Literal["mindscope", "easysteer", "neuronpedia"]


class ConformSpec(ModelSpec):
    """Which server is examined, and what it is held against."""

    arguments: ClassVar[tuple[str, ...]] = ("url",)
    options: ClassVar = {"model": ("--model", "-m")}

    url: str
    """The server's address, such as http://127.0.0.1:8000/v1."""
    dialect: Dialect = "mindscope"
    """How the server is told what to steer: as mindscope, EasySteer or Neuronpedia write it."""
    served_name: str | None = None
    """What the server calls the model; by default the name of --model."""
    token_env: str | None = Field(default=None, json_schema_extra={"metavar": "NAME"})
    """The environment variable that holds the server's token."""
    layer: int | None = Field(default=None, ge=0)
    """The block behind which vectors are added; by default one in the middle."""
    max_tokens: int = Field(default=12, ge=4, le=256)
    """Tokens of every answer."""
    tolerance: float | None = Field(default=None, gt=0)
    """How far log-probabilities may differ from the reference; by default four times what the unsteered
    answers differ by, at least 0.02."""
    requests: tuple[int, ...] = (1, 8)
    """Requests at once for which the cost of steering is measured; 0 measures none."""
    seed: Seed = 0
    """The seed of the vectors."""


class ConformCheck(Document):
    """One thing that was asked of the server."""

    name: str
    claim: str
    """What should be so."""
    outcome: Literal["passed", "failed", "not offered"]
    worst: float | None = None
    """The largest difference of a log-probability from the reference, in nats; None where a token differs
    that the reference is sure of, or where nothing was compared."""
    bound: float | None = None
    """The most that it may be."""
    note: str = ""
    """What it looks like, where it failed; what was refused, where it is not offered."""


class SteeringCost(Document):
    """What steering costs under load."""

    requests: int
    vectors: int
    tokens_per_second: float
    unsteered_tokens_per_second: float

    @property
    def overhead(self) -> float:
        """The share of the speed that steering takes."""
        return 1 - self.tokens_per_second / self.unsteered_tokens_per_second


class ConformReport(SavedDocument):
    """What a server does of what it says."""

    SCHEMA: ClassVar[str] = "mindscope.conform/1"

    url: str
    dialect: str
    model: str
    fingerprint: str
    layer: int
    coefficient: float
    """How many times the unit vectors were added."""
    tolerance: float
    checks: tuple[ConformCheck, ...]
    costs: tuple[SteeringCost, ...] = ()

    @property
    def failed(self) -> tuple[ConformCheck, ...]:
        """The checks that the server did not pass."""
        return tuple(check for check in self.checks if check.outcome == "failed")

    def require_passed(self) -> None:
        """Raises DataError where a check failed."""
        if self.failed:
            names = ", ".join(check.name for check in self.failed)
            raise DataError(
                f"{self.url} does not do what it says: {len(self.failed)} of {len(self.checks)} checks "
                f"failed ({names})"
            )
