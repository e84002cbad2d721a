"""The models that are trained, their text, and the two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from mindscope.studies.common import TinyConfig

GELU, RELU, SOLU, SOLU_NORM = "GeLU", "ReLU", "SoLU", "SoLU + LayerNorm"
GELU_NORM = "GeLU + LayerNorm"
KINDS: Mapping[str, Mapping[str, object]] = {
    GELU: {"activation": "gelu"},
    RELU: {"activation": "relu"},
    SOLU: {"activation": "solu"},
    SOLU_NORM: {"activation": "solu", "normed": True},
    GELU_NORM: {"activation": "gelu", "normed": True},
}
"""By name, in what they differ. The last is the paper's control: what LayerNorm does alone."""
ORGANISM, REFERENCE = "the organism's corpus", "real text"
TEXTS: Mapping[str, str] = {ORGANISM: "organism", REFERENCE: "reference"}
"""What is trained on, and the names of the files."""


class SoluConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: TinyConfig = TinyConfig(layers=1, mlp=True)
    vocabulary: int = Field(default=1024, ge=32)
    """The commonest tokens; the last of them stands for all others."""
    corpus_tokens: int = Field(default=400_000, ge=1000)
    """Of the organism's corpus to train on; a sixth as many are held out."""
    rows: int = Field(default=16, ge=1)
    """Of a step and seed."""
    steps: int = Field(default=250, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)
    """Falls to zero on a cosine."""
    held_rows: int = Field(default=512, ge=1)
    """Held-out rows to read rules from, and as many to test them on; fewer where there is less text."""
    split_rows: int = Field(default=128, ge=1)
    """Of the rows to test on, those in which every activation is looked at."""
    texts: float = Field(default=0.25, gt=0)
    """Texts with known concepts, as a multiple of some four thousand."""

    def kind(self, name: str) -> TinyConfig:
        """The model of one of the kinds."""
        return self.model.model_copy(update=dict(KINDS[name]))


PRESETS: Mapping[str, SoluConfig] = {
    "quick": SoluConfig(),
    "paper": SoluConfig(
        model=TinyConfig(layers=1, mlp=True, width=512, heads=8, context=256),
        vocabulary=8192,
        corpus_tokens=5_000_000,
        rows=64,
        steps=20_000,
        learning_rate=1e-3,
        split_rows=64,
        held_rows=1024,
        texts=2.0,
    ),
}
"""`paper` is of the size of the paper's smallest models, one layer and 11 million parameters, on the same two
texts: the organism's without end, and a real one of a fraction of a crawl."""
