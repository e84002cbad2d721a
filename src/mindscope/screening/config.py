"""What decides a screening, besides model, data and vectors."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mindscope.models import SamplingConfig
from mindscope.personas import VectorKind

Form = Literal["exact", "prompt", "sample"]
"""What an answer is compared with: the model's own answer to the same prompt; the prompt's last token, which
needs no generation; or the mean of the model's own answers to a random subsample of the prompts."""
Turns = Literal["max", "mean"]


class ScreenConfig(SamplingConfig):
    """Own answers are drawn as in Chen et al. 2025, arXiv 2507.21509: one a prompt, at temperature 1."""

    form: Form = "exact"
    layers: int | Mapping[str, int] | None = None
    """One for all traits, or one a trait; None: 0.55 of the depth, where the paper's choices lie."""
    kind: VectorKind = "answer_mean"
    turns: Turns = "max"
    """A conversation's score from those of its assistant turns."""
    percentile: float = Field(default=95.0, gt=0, lt=100)
    """Of the reference's samples; those of the data that lie above it are flagged."""
    samples: int = Field(default=1, ge=1)
    """Own answers per prompt; their mean is compared with."""
    temperature: float | None = Field(default=1.0, ge=0)
    subsample: int = Field(default=200, ge=2)
    """Conversations whose prompts the model answers in the form "sample"."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of a malformed row: the screening stops, or the row is left out and counted."""
    window: int = Field(default=512, ge=1)
    """Rows of the file that are read together, sorted by length, and saved as one piece."""
    top: int = Field(default=20, ge=0)
    """Samples per trait that are shown with the text that drives their score."""
    resamples: int = Field(default=1000, ge=100)
    """Of the bootstrap intervals."""
