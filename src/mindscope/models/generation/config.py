"""How answers are drawn: what extraction, sweep and steering have in common."""

from pydantic import BaseModel, ConfigDict, Field

from mindscope.models.generation.sample import Sampling


class SamplingConfig(BaseModel):
    """The defaults are those of Chen et al. 2025, arXiv 2507.21509."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    samples: int = Field(default=10, ge=1)
    """Answers per prompt."""
    temperature: float | None = Field(default=None, ge=0)
    """None: 1, or 0 when there is one sample per prompt."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=1000, ge=1)
    seed: int = 0
    shard_rows: int = Field(default=64, ge=2, multiple_of=2)
    """Answers generated in one batch and saved as one piece; part of what fixes the result to the bit."""

    def sampling(self) -> Sampling:
        temperature = self.temperature if self.temperature is not None else float(self.samples > 1)
        return Sampling(temperature=temperature, top_p=self.top_p, max_new_tokens=self.max_new_tokens)
