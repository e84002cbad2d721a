"""What a run holds about persona vectors: the vectors, a sweep, what steering did, and the page of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mindscope.core import order_names
from mindscope.errors import DataError
from mindscope.jobs.resolve import TEST_BED, find_vectors, is_test_bed
from mindscope.personas import ExampleStatistics, SteeringScores
from mindscope.store import Document, local_copy, part_of, read_json, write_json

if TYPE_CHECKING:
    from mindscope.engines import Engine
    from mindscope.personas import PersonaVectors, SteeringResult, SweepPoint, SweepResult

VECTORS = "vectors.safetensors"
SIZES = "sizes.json"
"""What is to be said of parts that were made with smaller sizes than usual."""


class LayerSummary(Document):
    """One layer's vector; None where a measure was not taken."""

    layer: int
    norm: float
    d_prime: float | None
    auroc: float | None
    cosine: float | None


class FilterSummary(Document):
    """How many pairs of answers there were, and how many were used."""

    pairs: int
    kept: int
    left_out: str
    """Why the others were not used: how many failed on each criterion."""


class SweepChoice(Document):
    """Where a sweep chose to steer, and how strongly."""

    layer: int
    coefficient: float
    trait: float | None
    coherence: float | None


class VectorsSummary(Document):
    """Vectors of one trait, and what else their run holds."""

    trait: str
    fingerprint: str
    model: str | None
    d_model: int
    filter: FilterSummary | None
    layers: tuple[LayerSummary, ...]
    file: str
    sweep: SweepChoice | None = None
    steering: SteeringScores | None = None
    examples: ExampleStatistics | None = None
    """Of vectors that were made from recorded answers."""

    @classmethod
    def of(cls, vectors: PersonaVectors, file: Path, **results: object) -> Self:
        """What is known of vectors that lie in a file."""
        statistics, norms, kept = vectors.statistics, vectors.norms.tolist(), vectors.filter
        return cls.model_validate(
            {
                "trait": vectors.trait,
                "fingerprint": vectors.fingerprint,
                "model": vectors.model,
                "d_model": vectors.d_model,
                "filter": kept and {"pairs": kept.pairs, "kept": kept.kept, "left_out": kept.failures()},
                "layers": [
                    {
                        "layer": layer,
                        "norm": norms[layer],
                        "d_prime": statistics.d_prime[layer] if statistics else None,
                        "auroc": statistics.auroc[layer] if statistics else None,
                        "cosine": statistics.cosine[layer] if statistics else None,
                    }
                    for layer in vectors.layers
                ],
                "file": str(file),
                "examples": vectors.metadata.get("examples"),
                **results,
            }
        )


@dataclass(frozen=True)
class PersonaRun:
    """A run's folder: `extract/TRAIT/vectors.safetensors`, `sweep/TRAIT/sweep.json`, `steer/…`."""

    path: Path

    @classmethod
    def holding(cls, vectors_file: Path) -> PersonaRun:
        """The run that a file of vectors lies in."""
        return cls(vectors_file.parents[2])

    def vectors_file(self, trait: str) -> Path:
        """Where `extract` leaves a trait's vectors."""
        return self.path / part_of("extract", trait) / VECTORS

    def vectors(self, trait: str, model: Engine, file: Path | None = None) -> PersonaVectors:
        """Those of `file`, or what `extract` left here.

        Raises:
            DataError: there are none, or those of several traits.
        """
        path = local_copy(file or self.vectors_file(trait))
        self.require_vectors(path)
        vectors = find_vectors(path, model)
        if len(vectors) != 1:
            raise DataError(f"{path} holds the vectors of {len(vectors)} traits: name one file")
        return vectors[0]

    @staticmethod
    def require_vectors(path: Path) -> None:
        """Raises DataError where there are no vectors."""
        if not path.exists():
            raise DataError(
                f"there are no vectors in {path}: run `mindscope persona extract` first, or give --vectors"
            )

    def sweep(self, trait: str) -> SweepResult | None:
        """The trait's sweep, if there was one."""
        from mindscope.personas import SweepResult

        file = self.path / part_of("sweep", trait) / "sweep.json"
        return SweepResult.load(file) if file.exists() else None

    def steering(self, trait: str) -> SteeringResult | None:
        """What steering by the trait's vector did, if it was measured."""
        from mindscope.personas import SteeringResult

        file = self.path / part_of("steer", trait) / "steering.json"
        return SteeringResult.load(file) if file.exists() else None

    def choice(self, trait: str) -> SweepPoint | None:
        """The layer and coefficient that the trait's sweep chose."""
        sweep = self.sweep(trait) if self.path.is_dir() else None
        return None if sweep is None or sweep.chosen is None else sweep.choice()

    def note_sizes(self, part: str, note: str) -> None:
        """Keep what the page is to say of the sizes that a part was made with; nothing for the usual ones."""
        notes = read_json(self.path / SIZES) if (self.path / SIZES).exists() else {}
        if notes.get(part, "") != note:
            write_json(self.path / SIZES, {**notes, part: note})

    def write_report(self, vectors: PersonaVectors) -> Path:
        """The page of everything that the run holds by now about these vectors."""
        from mindscope.personas import add_persona
        from mindscope.reports import Report

        model = vectors.model or "an unnamed model"
        report = Report(f"Persona: {vectors.trait}", f"persona vectors of {model}")
        if is_test_bed(model):
            report.note(TEST_BED)
        if (self.path / SIZES).exists():
            for part, note in read_json(self.path / SIZES).items():
                if note:
                    report.note(f"{part}: {note}")
        sweep, steering = self.sweep(vectors.trait), self.steering(vectors.trait)
        return add_persona(report, vectors, sweep, steering).write(self.path / "report.html")


def find_choice(path: Path, vectors: PersonaVectors) -> SweepPoint | None:
    """What a sweep chose for vectors that came out of `path`, if that is a run with a sweep."""
    return PersonaRun(local_copy(path)).choice(vectors.trait)


def default_layer(model: Engine) -> int:
    """Where a model's vectors are added and read unless something better is known."""
    from mindscope.personas import default_layer

    return default_layer(model.n_layers)


def find_vector_files(path: Path) -> Sequence[Path]:
    """A file of vectors itself, or all that a run folder holds.

    Raises:
        DataError: a folder without vectors.
    """
    path = local_copy(path)
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob(VECTORS), key=order_names)
    if not files:
        raise DataError(f"{path} holds no {VECTORS}: run `mindscope persona extract` first")
    return files


def summarise_vectors(file: Path) -> VectorsSummary:
    """All that is known about the vectors in a file: their layers, the sweep's choice, the steering."""
    from mindscope.personas import PersonaVectors

    vectors = PersonaVectors.load(file)
    run = PersonaRun.holding(file)
    point, steering = run.choice(vectors.trait), run.steering(vectors.trait)
    choice = None
    if point is not None:
        trait, coherence = point.scores.trait, point.scores.coherence
        choice = {
            "layer": point.layer,
            "coefficient": point.coefficient,
            "trait": trait and trait.mean,
            "coherence": coherence and coherence.mean,
        }
    return VectorsSummary.of(
        vectors, file, sweep=choice, steering=None if steering is None else steering.summary()
    )
