"""What one generate call asks of a steered and watched model, and what is kept of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mindscope.core import split_problem
from mindscope.errors import DataError
from mindscope.monitoring import AlarmAction

KEY = "mindscope"
"""Under which calls carry their fields in `extra_body`, and answers their record in `metadata`."""


class CallFields(BaseModel):
    """How the answers of a call are steered and watched."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    steer: str | None = None
    """An expression such as `0.5 kind - 1.2 evil@14-18`; names as on the command line."""
    monitor: tuple[str, ...] = ()
    """What to read at every token of the answer: vectors, runs, files, or latents such as sae.3/2026."""
    policy: AlarmAction = "log"
    """What an alarm does: log, warn, stop the answer, or steer against the feature."""
    coefficient: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How hard the policy steer pushes: h - coefficient * v."""
    readings: Literal["tokens", "mean"] = "mean"
    """Whether the record carries a reading for every token, or the means alone."""

    @field_validator("monitor", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        # A model argument on a command line is one text.
        return [name for name in value.split(",") if name] if isinstance(value, str) else value or ()

    def changed_by(self, body: Mapping[str, Any] | None) -> CallFields:
        """These fields with what a call's `extra_body` says in their place.

        Raises:
            DataError: a field that there is not, or a value that does not fit.
        """
        own = (body or {}).get(KEY)
        if own is None:
            return self
        if not isinstance(own, Mapping):
            raise DataError(
                f"extra_body['{KEY}'] is {type(own).__name__}: give an object such as {{'steer': …}}"
            )
        fields = self.model_dump(include=set(CallFields.model_fields))
        return read_fields(CallFields, {**fields, **own}, f"extra_body['{KEY}']")


def read_fields(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """A value of a pydantic kind; DataError with one line where the values do not fit."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        place, message = split_problem(error)
        known = ", ".join(kind.model_fields)
        hint = f"; there are {known}" if error.errors()[0]["type"] == "extra_forbidden" else ""
        raise DataError(": ".join(part for part in (where, place, message) if part) + hint) from None


class CallReading(BaseModel):
    """What one feature did in one answer, in the activations' own units."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    before: float | None = None
    """At the prompt's last token."""
    mean: float | None = None
    """Over the tokens of the final answer; None where it has none."""
    highest: float | None = None
    """At the token of the final answer where it is highest; None where it has none."""
    tokens: tuple[float, ...] | None = None
    """At every token of the final answer, where the call asks for it."""
    threshold: float | None = None
    """Above this the trailing mean raises an alarm; None where nothing was calibrated."""


class CallEvent(BaseModel):
    """A reading that crossed its threshold, or recovered."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["crossed", "recovered"]
    feature: str
    token: int | None
    value: float
    level: float


class AppliedEdit(BaseModel):
    """What steering really changed at one place, counted in the passes themselves."""

    model_config = ConfigDict(frozen=True)

    address: str
    prompt_tokens: int
    answer_tokens: int


class CallRecord(BaseModel):
    """What was done to an answer and read of it: `metadata['mindscope']` of the output and of its message."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    schema_name: Literal["mindscope.call/1"] = "mindscope.call/1"
    model: str
    fingerprint: str
    """Which weights answered."""
    seed: int
    """With which the answer can be drawn again."""
    steering: str | None = None
    """The expression; None where nothing was steered."""
    applied: tuple[AppliedEdit, ...] = ()
    readings: dict[str, CallReading] = {}
    """By the names that were given to monitor."""
    events: tuple[CallEvent, ...] | None = None
    """None where nothing was held against thresholds."""
    policy: str | None = None
    halted: bool = False
    """Whether the policy ended the answer."""
    pushed_tokens: int = 0
    """Tokens that passed under a push of the policy."""
    borrowed: tuple[str, ...] = ()
    """What was made with other weights and is used here, each with how the models are related."""

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any] | None) -> CallRecord | None:
        """The record in the metadata of an output or a message; None where there is none."""
        own = (metadata or {}).get(KEY)
        return None if own is None else cls.model_validate(own)

    def as_metadata(self) -> dict[str, Any]:
        """The same as metadata."""
        return {KEY: self.model_dump(mode="json", exclude_none=True)}
