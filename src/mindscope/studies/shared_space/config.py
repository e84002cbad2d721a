"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class SharedSpaceConfig(BaseModel):
    """How long dictionaries are trained, and how much is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latents: int = Field(default=2048, ge=8)
    """Of the SAE of each block."""
    k: int = Field(default=20, ge=1)
    """Latents active on a token, in the mean."""
    steps: int = Field(default=1500, ge=1)
    """Batches that the SAEs are trained on."""
    batch_tokens: int = Field(default=2048, ge=8)
    sentences: int = Field(default=120, ge=3)
    """Sentences that are read in three languages."""
    examples: int = Field(default=12, ge=2)
    """Texts of each thing in each channel; a latent is chosen on half of them and tested on the other."""
    permutations: int = Field(default=20, ge=1)
    """Exchanges of the pictures' names in the null."""
    apart: float = Field(default=0.9, gt=0.5, le=1)
    """The AUROC that a latent must have in every channel to stand for a thing."""


PRESETS: Mapping[str, SharedSpaceConfig] = {
    "quick": SharedSpaceConfig(),
    "paper": SharedSpaceConfig(
        latents=8192, steps=8000, batch_tokens=4096, sentences=600, examples=40, permutations=200
    ),
}
