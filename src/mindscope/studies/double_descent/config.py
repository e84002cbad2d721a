"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from mindscope.studies.common import TinyConfig, ToyTraining


class DescentConfig(BaseModel):
    """Toy models on a fixed set of samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: int = Field(default=10_000, ge=2)
    density: float = Field(default=0.001, gt=0, le=1)
    """1 - S."""
    hidden: int = Field(default=2, ge=1)
    """Of the models over the number of samples."""
    samples: tuple[int, ...]
    """T, the sizes of the training sets."""
    seeds: int = Field(default=4, ge=1)
    """Training sets of every size; the paper's four."""
    starts: int = Field(default=1, ge=1)
    """Of these models on one training set the one with the lowest training loss is kept."""
    steps: int = Field(default=50_000, ge=1)
    warmup: int = Field(default=2500, ge=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    plane_hidden: tuple[int, ...] = ()
    """m of the plane of samples and hidden dimensions."""
    plane_samples: tuple[int, ...] = ()
    """T of that plane."""
    repeats: tuple[int, ...] = (1, 4, 16, 64)
    """How often some samples stand in a training set of which the others stand once."""

    def training(self, samples: int) -> ToyTraining:
        """Full batches of so many samples."""
        return ToyTraining(
            steps=self.steps,
            samples=samples,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            cosine=True,
        )


class PlantedConfig(BaseModel):
    """A small language model with rows that it sees too often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: TinyConfig = TinyConfig(layers=2, mlp=True, context=32)
    vocabulary: int = Field(default=256, ge=32)
    rows: int = Field(default=512, ge=8)
    """Distinct rows of text."""
    planted: int = Field(default=32, ge=2)
    """So many of them stand `times` as often as the others."""
    times: int = Field(default=20, ge=2)
    steps: int = Field(default=300, ge=1)
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)


class DoubleDescentConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    descent: DescentConfig
    planted: PlantedConfig = PlantedConfig()


PRESETS: Mapping[str, DoubleDescentConfig] = {
    "quick": DoubleDescentConfig(
        descent=DescentConfig(
            features=256,
            density=0.03,
            samples=(3, 5, 8, 16, 32, 64, 128, 256, 512, 1024),
            steps=3000,
            warmup=150,
            learning_rate=1e-2,
            plane_hidden=(2, 4, 8),
            plane_samples=(8, 32, 128, 512),
        ),
    ),
    "paper": DoubleDescentConfig(
        descent=DescentConfig(
            samples=(
                3,
                5,
                6,
                8,
                10,
                15,
                30,
                50,
                100,
                200,
                500,
                1000,
                2000,
                5000,
                10_000,
                20_000,
                50_000,
                100_000,
            ),
            plane_hidden=(2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
            plane_samples=(10, 30, 100, 300, 1000, 3000, 10_000, 30_000),
        ),
    ),
}
