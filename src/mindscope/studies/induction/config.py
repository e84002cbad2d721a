"""The models that are trained, their text, and the two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from mindscope.studies.common import TinyConfig


class InductionConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[TinyConfig, ...]
    vocabulary: int = Field(default=128, ge=32)
    """The commonest tokens of the organism's corpus; the last of them stands for all others."""
    corpus_tokens: int = Field(default=60_000, ge=1000)
    """Of text to train on."""
    rows: int = Field(default=32, ge=4)
    """Of a step and seed: a quarter text, the rest random tokens that repeat."""
    steps: int = Field(default=500, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)
    every: int = Field(default=20, ge=1)
    """Steps between two measurements."""
    held_rows: int = Field(default=64, ge=2)
    """Of either kind, on which scores are measured."""


LARGE = {"width": 768, "heads": 12, "context": 512}
"""Of the paper's small models."""
KINDS = (
    TinyConfig(layers=1),
    TinyConfig(layers=2),
    TinyConfig(layers=2, mlp=True),
    TinyConfig(layers=1, smeared=True),
)

PRESETS: Mapping[str, InductionConfig] = {
    "quick": InductionConfig(models=KINDS),
    "paper": InductionConfig(
        models=tuple(kind.model_copy(update=LARGE) for kind in (*KINDS, TinyConfig(layers=3))),
        vocabulary=3000,
        corpus_tokens=5_000_000,
        rows=128,
        steps=10_000,
        learning_rate=1e-3,
        every=50,
        held_rows=1000,
    ),
}
"""`paper` has the paper's small models: 768 wide, 12 heads, 512 tokens of context here (8192 there, of which
scores use 512), 10,000 steps, a snapshot every 50. Its text is the organism's, of which there is no end, and
not a crawl."""
