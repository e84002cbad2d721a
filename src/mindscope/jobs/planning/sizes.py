"""How large a job is, as a plan is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mindscope.core import FrozenSettings


class PlanSizes(FrozenSettings):
    """How large a job is. What a job has no use for is not looked at."""

    rows: int | None = Field(default=None, ge=1)
    """Conversations, texts or prompts; by default what the job reads where nobody says."""
    context: int = Field(default=256, ge=2)
    """Tokens of a row that is read or trained on, or of the prompt of a graph."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per prompt; by default the job's own number."""
    prompt_tokens: int = Field(default=60, ge=1)
    """Tokens of a prompt that is answered."""
    answer_tokens: int | None = Field(default=None, ge=1)
    """Tokens that an answer has on the average; by default as many as it may have, so that the plan says what
    it takes at most."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Answers written side by side, or conversations of a training pass; by default the job's own number."""
    steps: int | None = Field(default=None, ge=1)
    """Training steps; by default the job's own number, or once through the rows."""
    kind: Literal["sae", "transcoder", "clt", "crosscoder"] = "sae"
    """The dictionary's kind."""
    causal: bool = False
    """Whether a crosscoder is weakly causal, so that it has `n_latents` a layer, as a clt has."""
    n_latents: int | None = Field(default=None, ge=2)
    """Latents of a coder; 16 times the model's width by default."""
    n_layers: int | None = Field(default=None, ge=1)
    """Layers that have dictionaries, or are swept; all by default."""
    k: int = Field(default=32, ge=1)
    """Active latents of a coder and token."""
    batch_tokens: int = Field(default=4096, ge=2)
    """Tokens of a dictionary's training batch."""
    nodes: int = Field(default=7500, ge=1)
    """Features of a graph."""
    method: Literal["rslora", "lora", "full"] = "rslora"
    """Fine-tune adapters or all weights."""
    form: Literal["exact", "prompt"] = "exact"
    """Screen against own answers, or against the prompt's last token."""
    traits: int = Field(default=1, ge=1)
    """Traits or vectors that are worked with."""
