"""What decides a screening, besides model, data and vectors; needs no torch."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mindscope.models import SamplingConfig
from mindscope.personas import VectorKind

Form = Literal["exact", "prompt", "sample"]
"""What an answer is compared with: the model's own answer to the same prompt; the prompt's last token, which
needs no generation; or the mean of the model's own answers to a random subsample of the prompts."""
Turns = Literal["max", "mean"]
"""A conversation's score: the highest of its assistant turns' scores, or their mean."""


class ScreenConfig(SamplingConfig):
    """Own answers are drawn as in Chen et al. 2025, arXiv 2507.21509: one per prompt, at temperature 1."""

    form: Form = "exact"
    """Compare an answer with the model's own answer to the same prompt (exact), with the prompt's last token
    (prompt), or with the model's own answers to a random subsample of the prompts (sample)."""
    layers: int | Mapping[str, int] | None = None
    """The layer for all traits, or the layer of each trait; by default 0.55 of the depth, where the paper's
    choices lie."""
    kind: VectorKind = "answer_mean"
    """Which of a trait's vectors the data is projected on."""
    turns: Turns = "max"
    """Score a conversation by the highest score of its assistant turns, or by their mean."""
    percentile: float = Field(default=95.0, gt=0, lt=100)
    """The percentile of the reference's samples above which a sample of the data is flagged."""
    samples: int = Field(default=1, ge=1)
    """Own answers per prompt; a sample is compared with their mean."""
    max_new_tokens: int | None = Field(default=None, ge=1)  # type: ignore[assignment]
    """The most tokens of an own answer; by default as many as nine tenths of the data's answers have, and at
    most 1000."""
    temperature: float | None = Field(default=1.0, ge=0)
    """The sampling temperature of the own answers; 0 takes the likeliest token."""
    subsample: int = Field(default=200, ge=2)
    """Conversations whose prompts the model answers in the form "sample"."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a malformed row: the screening stops, or the row is left out and counted."""
    window: int = Field(default=512, ge=1)
    """Rows of the file that are read together, sorted by length, and saved as one piece."""
    top: int = Field(default=20, ge=0)
    """Samples per trait that are shown with the text that drives their score."""
    resamples: int = Field(default=1000, ge=100)
    """Resamples of the bootstrap intervals."""
