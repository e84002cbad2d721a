"""The vectors the claims are about: extracted and given a layer, one trait after the other."""

from dataclasses import dataclass

from mindscope import personas
from mindscope.core import Progress
from mindscope.features import Direction
from mindscope.models import Model
from mindscope.personas import PersonaVectors, SweepResult, Trait
from mindscope.store import Run
from mindscope.studies.persona_vectors.bench import StudyBench
from mindscope.studies.persona_vectors.config import ReproduceConfig


@dataclass(frozen=True)
class PreparedTrait:
    """A trait with its vectors and the layer that steering chose."""

    trait: Trait
    vectors: PersonaVectors
    sweep: SweepResult

    @property
    def layer(self) -> int:
        return self.sweep.choice().layer

    @property
    def direction(self) -> Direction:
        return self.vectors.direction(self.layer)


def prepare(
    bench: StudyBench, model: Model, run: Run, config: ReproduceConfig, progress: Progress | None
) -> list[PreparedTrait]:
    """Extract each trait's vectors and sweep the layers; what is there already is used."""
    made: list[PreparedTrait] = []
    for trait in bench.traits:
        vectors = personas.extract_vectors(
            model, trait, bench.judge, run, config.extraction, progress=progress
        )
        swept = personas.sweep_coefficients(
            model, vectors, trait, bench.judge, run, config.sweep, progress=progress
        )
        made.append(PreparedTrait(trait, vectors, swept))
    return made
