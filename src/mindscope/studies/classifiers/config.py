"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class ClassifiersConfig(BaseModel):
    """How many texts, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: int = Field(default=4, ge=2)
    """Draws of texts, each with other schemes to train on; the model is the same in all."""
    train_rows: int = Field(default=60, ge=10)
    """Harmful requests to fit on, and as many harmless ones."""
    test_rows: int = Field(default=50, ge=10)
    """Of each kind in each set to read."""
    window: int = Field(default=4, ge=2)
    """Tokens of a rolling mean."""
    turns: int = Field(default=4, ge=1)
    """Harmless turns before the request in a long conversation."""
    false_alarms: float = Field(default=0.05, gt=0, lt=1)
    """The rate at which thresholds are set on short harmless texts."""
    read_back: int = Field(default=20, ge=1)
    """So many features are looked at for a spurious one, the largest weights first."""


PRESETS: Mapping[str, ClassifiersConfig] = {
    "quick": ClassifiersConfig(),
    "paper": ClassifiersConfig(seeds=10, train_rows=1000, test_rows=500),
}
