"""What is trained, on how much, and the two presets."""

from collections.abc import Mapping

from pydantic import Field, model_validator

from mindscope.studies.common.token_pool import PoolTraining
from mindscope.studies.scaling.paper import PAPER_SIZES


class ScalingConfig(PoolTraining):
    """All sizes of the study.

    `tokens` is of loaded models alone; of the organism's texts `texts` says how many. The dictionaries of
    `sizes` are trained for `steps`; runs for the laws have steps of their own.
    """

    seeds: int = Field(default=3, ge=1)
    """Each has its own texts, names, frequencies and first weights."""
    layer: int | None = None
    """The block after which activations are read; half of the blocks down by default, as the paper's."""
    steps: int = Field(default=400, ge=1)
    batch_tokens: int = Field(default=256, ge=8)
    held_tokens: int = Field(default=8192, ge=32)
    law_latents: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Sizes of the runs for the laws."""
    law_computes: tuple[int, ...] = (2**11, 2**12, 2**13, 2**14)
    """Latents times steps of these runs: compute in all but a constant, as width and batch are the same."""
    sizes: tuple[int, ...] = (96, 256, 768)
    """Latents of the dictionaries that are looked into, in place of the paper's 1, 4 and 34 million."""
    names: int = Field(default=64, ge=4)
    """Countries and states whose frequency is drawn."""
    decades: float = Field(default=2.5, gt=0)
    """Over how many powers of ten frequencies are spread, evenly in their logarithm."""
    nameless: float = Field(default=0.2, ge=0, lt=1)
    """The share of training tokens out of texts that have none of these names."""
    texts: float = Field(default=0.45, gt=0)
    """Texts of the world that names are drawn from, as a multiple of some four thousand."""
    least_texts: int = Field(default=5, ge=1)
    """A name that fewer texts of a half show is not followed."""
    steered: int = Field(default=8, ge=1)
    """Names whose latent is clamped."""
    questions: int = Field(default=10, ge=2)
    """That each of them is tried on."""
    max_new_tokens: int = Field(default=24, ge=1)

    @model_validator(mode="after")
    def _require_runs_that_can_be_fitted(self) -> "ScalingConfig":
        if len(self.law_latents) < 3 or len(self.law_computes) < 3:
            raise ValueError("law_latents, law_computes: a law needs three of each")
        if max(self.law_latents) > min(self.law_computes):
            raise ValueError("law_computes: less than a step of the largest run: give more")
        if len(self.sizes) < 2 or list(self.sizes) != sorted({*self.sizes}):
            raise ValueError("sizes: give two or more, the smallest first")
        return self


PRESETS: Mapping[str, ScalingConfig] = {
    "quick": ScalingConfig(),
    "paper": ScalingConfig(
        seeds=3,
        batch_tokens=4096,
        held_tokens=65_536,
        tokens=40_000_000,
        steps=200_000,
        learning_rate=5e-5,
        law_latents=tuple(2**power for power in range(10, 18)),
        law_computes=tuple(2**power for power in range(20, 29, 2)),
        sizes=PAPER_SIZES,
        names=110,
        decades=4.0,
        texts=10.0,
        steered=40,
        questions=40,
    ),
}
"""`paper` has the published sizes and coefficient; the learning rate is of the update of April 2024. How many
steps the paper's runs took, and on how many tokens, it does not say."""

MODEL_PRESETS: Mapping[str, ScalingConfig] = {
    "quick": ScalingConfig(
        seeds=3,
        tokens=8192,
        held_tokens=2048,
        steps=256,
        law_latents=(16, 32, 64, 128, 256),
        law_computes=(2**12, 2**13, 2**14),
        sizes=(64, 256),
    ),
    "paper": PRESETS["paper"],
}
"""Of a model that is loaded, whose activations take longer to read than all the rest."""
