"""What a small transformer is made of; see `tiny_transformers.py`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Activation = Literal["gelu", "relu", "solu"]
"""SoLU(x) = x softmax(x), the softmax over a token's neurons (Elhage et al. 2022, "Softmax Linear Units")."""


class TinyConfig(BaseModel):
    """Small transformers of one kind, one a seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(ge=1)
    mlp: bool = False
    """Whether blocks have MLPs; the paper's small models have none."""
    smeared: bool = False
    """Whether keys are smeared."""
    activation: Activation = "gelu"
    """What the MLP's neurons are computed by."""
    normed: bool = False
    """Whether a LayerNorm stands between the MLP's neurons and its output weights; without weights of its
    own, which the output weights would take up."""
    expansion: int = Field(default=4, ge=1)
    """Neurons of the MLP, as a multiple of the width."""
    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    context: int = Field(default=64, ge=16)
    seeds: int = Field(default=3, ge=1)

    @property
    def name(self) -> str:
        """What tables and figures call it."""
        parts = [f"{self.layers} layer" + "s" * (self.layers > 1), "with MLPs" * self.mlp]
        parts += ["smeared keys" * self.smeared]
        if self.mlp:
            parts += ["" if self.activation == "gelu" else self.activation, "normed neurons" * self.normed]
        return ", ".join(filter(None, parts))
