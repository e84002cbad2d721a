"""What all settings have in common: complete, finite, and of a size that a machine can count."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every source of random numbers in use can begin with; numpy's older ones take no more than 32 bits."""
Index = Annotated[int, Field(ge=0)]
"""Of a layer, latent or step, counted from 0."""
Percent = Annotated[float, Field(ge=0, le=100)]
"""A score of a judge, or a share in percent."""
_LARGEST = 2**63 - 1


class FrozenSettings(BaseModel):
    """Settings that do not change once they are made.

    A field that is not known, NaN, infinity, and a whole number beyond 64 bits are refused here, before
    anything is loaded: compared with NaN everything is false, so that a limit of NaN would hold nothing back
    and say nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _require_machine_numbers(self) -> FrozenSettings:
        for name in type(self).model_fields:
            if not _fits_a_machine(getattr(self, name)):
                raise ValueError(f"{name}: a number beyond 64 bits")
        return self


def _fits_a_machine(value: Any) -> bool:
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return all(map(_fits_a_machine, value)) if isinstance(value, tuple) else True
