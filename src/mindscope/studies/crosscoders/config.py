"""What is trained, on how much, and the two presets."""

from collections.abc import Mapping

from pydantic import Field

from mindscope.studies.common.token_pool import PoolTraining

ACAUSAL, CAUSAL, SINGLE, WIDE, SHUFFLED = (
    "crosscoder",
    "weakly causal",
    "SAEs",
    "SAEs, as much arithmetic",
    "crosscoder, layers shuffled",
)
"""The coders of layers that learn with an L1 penalty, as the paper's."""
TOP_ACAUSAL, TOP_SINGLE = "crosscoder, BatchTopK", "SAEs, BatchTopK"
"""The same with BatchTopK: as many active latents in every layer."""
RANDOM_ACAUSAL, RANDOM_SINGLE = "random crosscoder", "random SAEs"
"""Random directions, of which as many are active; for concepts alone."""
CODERS = (ACAUSAL, CAUSAL, SINGLE, WIDE, SHUFFLED, TOP_ACAUSAL, TOP_SINGLE)

L1, L1_SHARED, TOP, L1_TWICE, TOP_TWICE = (
    "L1",
    "L1, designated shared latents",
    "BatchTopK",
    "L1, the same model twice",
    "BatchTopK, the same model twice",
)
PAIRS = (L1, L1_SHARED, TOP, L1_TWICE, TOP_TWICE)
"""The crosscoders between two models."""


class CrosscodersConfig(PoolTraining):
    """All sizes of the study."""

    seeds: int = Field(default=3, ge=1)
    """Each has its own tokens, first weights, texts with concepts, and tuning."""
    latents: int = Field(default=768, ge=16)
    """Of all layers together."""
    pair_latents: int = Field(default=768, ge=8)
    """Of a crosscoder between two models, which reads one layer of each."""
    layer: int = Field(default=2, ge=0)
    """The block after which two models are compared."""
    shared_latents: float = Field(default=0.1, gt=0, lt=1)
    """The share of the latents between two models that is designated shared."""
    texts: float = Field(default=0.15, gt=0)
    """Texts with known concepts, as a multiple of some four thousand."""
    tune_steps: int = Field(default=30, ge=1)
    """Of the tuning of each pair."""
    tune_rows: int = Field(default=16, ge=2)
    """Conversations in a step of it."""
    tune_rate: float = Field(default=1e-3, gt=0)
    family: str = "evil"
    """What is tuned on: a family of the organism's training sets, at its strongest level."""


PRESETS: Mapping[str, CrosscodersConfig] = {
    "quick": CrosscodersConfig(),
    "paper": CrosscodersConfig(
        seeds=5,
        latents=8192,
        pair_latents=8192,
        tokens=400_000,
        held_tokens=32_768,
        steps=10_000,
        batch_tokens=2048,
        learning_rate=5e-4,
        texts=1.0,
        tune_steps=150,
    ),
}
"""`paper` is longer and larger; the papers' own models have 18 layers and more, and dictionaries of up to a
quarter of a million latents."""
