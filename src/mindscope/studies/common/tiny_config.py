"""What a small transformer is made of; see `tiny_transformers.py`."""

from pydantic import BaseModel, ConfigDict, Field


class TinyConfig(BaseModel):
    """Small transformers of one kind, one a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(ge=1)
    mlp: bool = False
    """Whether blocks have MLPs; the paper's small models have none."""
    smeared: bool = False
    """Whether keys are smeared."""
    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    context: int = Field(default=64, ge=16)
    seeds: int = Field(default=3, ge=1)

    @property
    def name(self) -> str:
        """What tables and figures call it."""
        parts = [f"{self.layers} layer" + "s" * (self.layers > 1), "with MLPs" * self.mlp]
        return ", ".join([*filter(None, parts), *["smeared keys"] * self.smeared])
