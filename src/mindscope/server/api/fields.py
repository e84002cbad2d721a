"""What a request says to mindscope beside what it says to any such server, and what comes back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from mindscope.features import SteerExpression, SteerTerm
from mindscope.models import AnswerTokens, Where
from mindscope.monitoring import AlarmAction

VectorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")]
"""What an uploaded vector may be called."""


def _finite(value: float) -> float:
    if not abs(value) < float("inf"):
        raise ValueError("must be a finite number")
    return value


Finite = Annotated[float, Field(strict=False), AfterValidator(_finite)]


class SteerItem(BaseModel):
    """One direction and what is done with it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    vector: str = Field(min_length=1, max_length=256)
    """The name of a vector that was registered or uploaded, or DICTIONARY/LATENT."""
    coefficient: Finite = 1.0
    """How many times the vector is added (or what it is replaced with); of clamp and cap the projection, in
    the units of the activations."""
    operation: Literal["add", "increment", "ablate", "clamp", "cap", "replace"] = "add"
    """What is done: h + c v; the same in increments over layers; h - (h . v^) v^; the projection becomes c,
    or at most c; c v."""
    layers: list[Annotated[int, Field(ge=0, le=9999)]] | Literal["all"] | None = None
    """The blocks behind which it is done, counted from 0; by default where the vector belongs."""
    positions: Where | None = None
    """Which tokens: by default those from which the answer is predicted."""
    from_token: int | None = Field(default=None, ge=0, le=2**31)
    """In place of positions: the answer's tokens from this one on, counted from 0."""

    def as_term(self) -> SteerTerm:
        """The same as a term of an expression.

        Raises:
            DataError: layers out of order, or a number that the operation has no use for.
        """
        where = self.positions if self.from_token is None else AnswerTokens(self.from_token)
        layers = tuple(self.layers) if isinstance(self.layers, list) else self.layers
        return SteerTerm(self.vector, self.coefficient, layers, self.operation, where)


class PolicyField(BaseModel):
    """What an alarm does."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    action: AlarmAction = "log"
    """Log the event, warn in the server's own output too, stop the answer, or steer against the vector until
    it has recovered."""
    coefficient: float = Field(default=1.0, gt=0, le=1e6)
    """How hard `steer` pushes: h - c * v."""


class MindscopeFields(BaseModel):
    """How an answer is to be steered and watched."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    steer: str | list[SteerItem] | None = None
    """An expression such as `0.5 kind - 1.2 evil@14-18`, or a list of what is to be done."""
    monitor: bool | list[Annotated[str, Field(min_length=1, max_length=256)]] | None = None
    """Which vectors to read at every token of the answer: by their names, or all that the server watches."""
    policy: AlarmAction | PolicyField | None = None
    """What an alarm does; where the server's own policy acts, a request cannot change it."""
    readings: Literal["tokens", "mean"] = "tokens"
    """Whether the answer carries a reading for every token, or the means alone."""
    conversation: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[^\x00]*$")
    """Which conversation of the log this turn belongs to; by default one of its own."""

    def expression(self) -> SteerExpression | None:
        """What to steer; None where nothing is.

        Raises:
            DataError: what cannot be read, with the column.
        """
        if not self.steer:
            return None
        if isinstance(self.steer, str):
            return SteerExpression.parse(self.steer)
        return SteerExpression(tuple(item.as_term() for item in self.steer))


class FeatureReadings(BaseModel):
    """What one feature did in one answer, as projections a . v / |v| in the activations' own units."""

    before: float | None = None
    """At the prompt's last token."""
    mean: float | None = None
    """Over the tokens of the final answer; None where it has none."""
    tokens: list[float] | None = None
    """At every token of the final answer, to four digits."""
    threshold: float | None = None
    """Above this the trailing mean raises an alarm."""


class EventField(BaseModel):
    """A reading that crossed its threshold, or recovered."""

    kind: Literal["crossed", "recovered"]
    feature: str
    token: int | None
    """Of the answer, counted from 0; None for the prompt's last token."""
    value: float
    level: float


class MovedField(BaseModel):
    """How far tokens were moved along one vector."""

    along: float
    """The mean over the changed tokens of (h' - h) . v / |v|, measured where the model goes on with h'."""
    norm: float
    """|v|: of one vector that was added alone, along / norm is the coefficient."""


class AppliedField(BaseModel):
    """What was really done at one place, read back from the passes."""

    address: str
    prompt_tokens: int
    """Tokens of the prompt that were changed there."""
    answer_tokens: int
    """The same behind the prompt. The last token of an answer passes only where it is read."""
    moved: dict[str, MovedField]
    """By the vectors that were to be written there."""


class RateField(BaseModel):
    """What an alarm is worth: the calibration behind the thresholds."""

    false_alarms: float
    """The share of ordinary conversations that raise an alarm, at most."""
    over: Literal["each", "any"]
    low: float
    """Ends of the 95 % interval of a feature's true rate."""
    high: float
    conversations: int
    """Ordinary conversations that it rests on."""


class MindscopeReply(BaseModel):
    """What was done to an answer and read of it."""

    readings: dict[str, FeatureReadings] | None = None
    events: list[EventField] | None = None
    """None where nothing was held against thresholds."""
    rate: RateField | None = None
    policy: AlarmAction | None = None
    halted: bool = False
    """Whether the policy ended the answer."""
    pushed_tokens: int = 0
    """Tokens that passed under a push of the policy."""
    applied: list[AppliedField] = []
    """What edits did, at every place where they changed anything."""
    reused_tokens: int = 0
    """Prompt tokens that came out of the prefix cache."""
