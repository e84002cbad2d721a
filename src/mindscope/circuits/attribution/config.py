"""How a graph is traced."""

from typing import Any

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from mindscope.core import FrozenSettings
from mindscope.errors import DataError

ROWS_IN_MEMORY = 2**31
"""Bytes of rows up to which they stay where they were traced; those that follow go to disk."""


class TraceConfig(FrozenSettings):
    """How to trace a graph: which features become nodes, and how much memory tracing may take."""

    max_features: int = Field(default=7500, ge=1)
    """At most this many features become nodes, the most influential ones."""
    rank_every: int | None = Field(default=None, ge=1)
    """Features are chosen in steps of this size, as circuit-tracer does (its batch size times its update
    interval), and ranked again after each; None chooses exactly: no feature that is left out has more
    influence than one that is in."""
    skip_tokens: int | None = Field(default=None, ge=0)
    """At this many first tokens features and errors are not nodes. By default these are a special token in
    front, tokens from the first on whose activations are ten times the usual size, and the four tokens that
    a chat of Gemma 3 begins with."""
    memory: int = Field(default=2**28, ge=1)
    """The gradients of a block of rows may take this many bytes."""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_one_line(
        cls, settings: Any, validate: ModelWrapValidatorHandler["TraceConfig"]
    ) -> "TraceConfig":
        try:
            return validate(settings)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise DataError(f"{field} of a trace cannot be {first['input']!r}: {first['msg']}") from None
