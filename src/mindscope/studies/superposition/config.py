"""The sizes of the study, and its two presets."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from mindscope.studies.common import ToyTraining

DENSITIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""1 - S of the paper's panels."""


class PhaseConfig(BaseModel):
    """A phase diagram: densities by importances of one feature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: int = Field(default=20, ge=2)
    """Along either axis; densities from 1 to 0.01, importances from 0.1 to 10, both even in the logarithm."""
    starts: int = Field(default=6, ge=1)
    """Of these models the one with the lowest loss stands for a cell: one hidden dimension has bad minima."""
    seeds: int = Field(default=4, ge=1)
    training: ToyTraining = ToyTraining()


class GeometryConfig(BaseModel):
    """Many features of one importance in a few dimensions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: int = Field(default=400, ge=2)
    hidden: int = Field(default=30, ge=1)
    densities: tuple[float, ...]
    seeds: int = Field(default=1, ge=1)
    training: ToyTraining = ToyTraining()
    settling: ToyTraining | None = None
    """A second training behind it, with so many samples a step that polytopes are not kept from closing by
    their noise; the paper has none."""

    @property
    def trainings(self) -> tuple[ToyTraining, ...]:
        """One after the other."""
        return (self.training, *([self.settling] if self.settling else []))


class SuperpositionConfig(BaseModel):
    """All sizes of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: int = Field(default=8, ge=1)
    """Of the panels and the polytopes."""
    starts: int = Field(default=4, ge=1)
    """Of these models the one with the lowest loss stands for a seed where features are correlated."""
    polytope_density: float = Field(default=0.03, gt=0, le=1)
    set_seeds: int = Field(default=32, ge=1)
    """Of the features that go together: whether independent ones are paired alike is a matter of chance."""
    set_density: float = Field(default=0.2, gt=0, le=1)
    """So high that features that are active together do disturb one another."""
    small: ToyTraining = ToyTraining()
    """Of panels, polytopes and correlated features."""
    phase: PhaseConfig = PhaseConfig()
    geometry: GeometryConfig
    saving_samples: int = Field(default=100_000, ge=2)
    """Of features in the corners of a polytope."""
    computing_seeds: int = Field(default=3, ge=1)
    computing: ToyTraining = ToyTraining()
    computing_densities: tuple[float, ...] = (1.0, 0.1, 0.03, 0.01)


def spaced(first: float, last: float, count: int) -> tuple[float, ...]:
    """Numbers that are even in the logarithm, both ends included."""
    ratio = (last / first) ** (1 / max(1, count - 1))
    return tuple(round(first * ratio**index, 6) for index in range(count))


FAST = ToyTraining(steps=3000, samples=256, learning_rate=1e-2, cosine=True)
"""Ten times the published rate, falling to zero: the polytopes come out as sharp in a thirteenth of the
samples."""

PRESETS: Mapping[str, SuperpositionConfig] = {
    "quick": SuperpositionConfig(
        small=FAST,
        phase=PhaseConfig(seeds=3, training=FAST.model_copy(update={"steps": 1200, "samples": 128})),
        geometry=GeometryConfig(
            densities=(1.0, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, 0.03),
            seeds=3,
            training=FAST.model_copy(update={"steps": 1500}),
        ),
        computing=ToyTraining(steps=2500, samples=256, learning_rate=3e-3, warmup=300, cosine=True),
    ),
    "paper": SuperpositionConfig(
        geometry=GeometryConfig(
            densities=spaced(1.0, 0.01, 32),
            seeds=3,
            settling=ToyTraining(steps=500, samples=8192, cosine=True),
        )
    ),
}
