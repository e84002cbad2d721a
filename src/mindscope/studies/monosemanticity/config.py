"""The transformers, the dictionaries, what they are measured on, and the two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mindscope.studies.common import TinyConfig, TinyTraining

NEURONS, RANDOM, SHUFFLED = "neurons", "random directions", "shuffled transformer"
"""What features are held against: the neurons themselves, a dictionary without training that has as many
active latents, and a dictionary of a transformer whose weights are shuffled."""


def say_size(size: int) -> str:
    """What a dictionary is called that has so many times as many latents as there are neurons."""
    return f"features, {size}x"


class MonosemanticityConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: TinyConfig = TinyConfig(layers=1, mlp=True, activation="relu", width=32)
    """One layer whose neurons are ReLU, four times as many as the stream is wide, as the paper's."""
    training: TinyTraining = TinyTraining(steps=300)
    """Of the transformers; their neurons are as they are when it ends."""
    vocabulary: int = Field(default=1024, ge=32)
    """The commonest tokens; the last of them stands for all others."""
    corpus_tokens: int = Field(default=300_000, ge=1000)
    """To train the transformers on; a sixth as many are held out."""
    sizes: tuple[int, ...] = (1, 4, 16)
    """Latents of the dictionaries, as multiples of the neurons; from small to large."""
    focus: int = 4
    """The size that is looked at closely; the paper's is 8."""
    steps: int = Field(default=600, ge=1)
    batch_tokens: int = Field(default=512, ge=8)
    buffer_batches: int = Field(default=32, ge=1)
    """Batches whose tokens are shuffled together; no activation is read twice."""
    learning_rate: float = Field(default=3e-3, gt=0)
    l1_coefficient: float = Field(default=0.01, gt=0)
    """The paper's lambda: of the sum of activations, beside the squared error's mean over neurons, in the
    units of the activations as they are."""
    resample_at: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4)
    """Shares of the run after which dead latents are drawn again."""
    dead_share: float = Field(default=0.05, gt=0)
    """A latent is dead that was silent for this share of the run."""
    held_rows: int = Field(default=256, ge=1)
    """Held-out rows to read rules, predictions and token profiles from, and as many to test them on."""
    texts: float = Field(default=0.25, gt=0)
    """Texts with known concepts, as a multiple of some four thousand."""
    ablated: int = Field(default=48, ge=1)
    """Features that are taken out, of each seed."""
    ablated_rows: int = Field(default=64, ge=1)
    """Held-out rows that they are taken out of."""
    callers: int = Field(default=24, ge=1)
    """Features whose successors are measured, of each seed."""
    contexts: int = Field(default=32, ge=1)
    """Held-out tokens at which each of these is active and a next token is drawn."""
    draws: int = Field(default=4, ge=1)
    """Next tokens drawn at each of them, where the prediction with the feature and without it differs."""

    @model_validator(mode="after")
    def _consistent(self) -> "MonosemanticityConfig":
        if self.focus not in self.sizes:
            raise ValueError(f"focus: {self.focus} must be one of the sizes {self.sizes}")
        if self.model.seeds < 2 or self.model.layers != 1 or not self.model.mlp:
            raise ValueError("model: two seeds or more of one layer with an MLP are needed")
        return self


PRESETS: Mapping[str, MonosemanticityConfig] = {
    "quick": MonosemanticityConfig(),
    "paper": MonosemanticityConfig(
        model=TinyConfig(layers=1, mlp=True, activation="relu", width=128, context=256),
        training=TinyTraining(rows=256, steps=100_000, learning_rate=1e-3),
        vocabulary=8192,
        corpus_tokens=5_000_000,
        sizes=(1, 8, 32, 64, 128, 256),
        focus=8,
        steps=1_000_000,
        batch_tokens=8192,
        buffer_batches=100,
        learning_rate=1e-4,
        l1_coefficient=0.004,
        resample_at=(0.025, 0.05, 0.075, 0.1),
        dead_share=0.0125,
        held_rows=1024,
        texts=2.0,
        ablated=200,
        callers=100,
    ),
}
"""`paper` has the paper's width of 128 with 512 neurons, its million steps of 8192 activations, its
coefficient, and its resampling: after 25, 50, 75 and 100 thousand steps what was silent for 12,500, out of
the 819,200 activations of a buffer. What the paper does not print is from elsewhere: the dictionaries' rate
is that of Nanda's replication on a one-layer model, the transformers' rate and rows are ours, and they read
6.6 billion tokens of the organism's corpus instead of 100 billion of the Pile. It was not run."""
