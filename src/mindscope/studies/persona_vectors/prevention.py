"""Claim 4: steering towards the trait while training prevents it and keeps what the model knows.

Steering against the trait afterwards removes it too, at a price (Chen et al. 2025, arXiv 2507.21509,
section 6). Each trait's level-II set is tuned on under every intervention; the tuned model without any is
steered against the vector while it answers.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from mindscope.finetuning import (
    ConceptAblation,
    PreventativeSteering,
    ProjectionPenalty,
    TrainingIntervention,
)
from mindscope.store import Document
from mindscope.studies.persona_vectors.answering import TraitLevel
from mindscope.studies.persona_vectors.benches.bench import PreparedTrait
from mindscope.studies.persona_vectors.config import ReproduceConfig

Curve = Literal[
    "none", "prevent, one layer", "prevent, all layers", "CAFT", "CAFT, all layers", "penalty", "against"
]


class TreatedTrait(Document):
    """One trait, one treatment."""

    curve: Curve
    coefficient: float
    level: TraitLevel
    capability: float | None
    """Per cent."""


class TraitPrevention(Document):
    """One trait's level-II set under all treatments."""

    trait: str
    layer: int
    base: TreatedTrait
    """The model before tuning."""
    treated: tuple[TreatedTrait, ...]

    def of(self, curve: Curve) -> list[TreatedTrait]:
        return [treated for treated in self.treated if treated.curve == curve]

    @property
    def unprevented(self) -> TreatedTrait:
        return self.of("none")[0]

    def best_prevention(self) -> TreatedTrait:
        """The lowest trait score of those that cost at most 2 points of capability, else of all."""
        preventing = self.of("prevent, one layer") + self.of("prevent, all layers")
        cheap = [treated for treated in preventing if (self.cost(treated) or 0) <= 2]
        return min(cheap or preventing, key=lambda treated: treated.level.trait)

    def cost(self, treated: TreatedTrait) -> float | None:
        """Points of capability lost since before tuning."""
        if treated.capability is None or self.base.capability is None:
            return None
        return self.base.capability - treated.capability

    def cost_of_steering_to(self, trait: float) -> float | None:
        """What steering against the tuned model costs at the first coefficient that brings the score so low.

        None: no coefficient tried does, or there is no test.
        """
        for treated in sorted(self.of("against"), key=lambda treated: treated.coefficient):
            if treated.level.trait <= trait:
                return self.cost(treated)
        return None


def interventions(
    ready: PreparedTrait, config: ReproduceConfig
) -> Mapping[tuple[Curve, float], Sequence[TrainingIntervention]]:
    """What each treatment does while the model is tuned."""
    name, layer = ready.trait.name, ready.layer
    planned: dict[tuple[Curve, float], Sequence[TrainingIntervention]] = {("none", 0.0): ()}
    for coefficient in config.prevent_one:
        planned["prevent, one layer", coefficient] = (
            PreventativeSteering(trait=name, layer=layer, coefficient=coefficient),
        )
    for coefficient in config.prevent_all:
        planned["prevent, all layers", coefficient] = (
            PreventativeSteering(trait=name, coefficient=coefficient),
        )
    planned["CAFT", 1.0] = (ConceptAblation(trait=name, layer=layer),)
    planned["CAFT, all layers", 1.0] = (ConceptAblation(trait=name),)
    planned["penalty", config.penalty] = (ProjectionPenalty(trait=name, layer=layer, weight=config.penalty),)
    return planned
