"""What `mindscope persona` shows of a run: its vectors, the sweep's choice, what steering did, the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.cli.output import print_table
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.personas import PersonaVectors, SteeringResult, SweepResult

TEST_BED = (
    "The organism is a small model of a world that a program made up. It is a test bed: what holds in it "
    "is a question to ask of other models, and no finding about them."
)

"""How deep vectors are used unless told, as a share of the layers (Chen et al. 2025, arXiv 2507.21509)."""


def usual_layer(model: Model) -> int:
    """Where this model's vectors are added and read unless something better is known."""
    from mindscope.personas import vectors

    return vectors.default_layer(model.n_layers)


def vector_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob("vectors.safetensors"))
    if not found:
        raise DataError(f"{path} holds no vectors.safetensors: run `mindscope persona extract` first")
    return found


def load_sweep(folder: Path, trait: str) -> SweepResult | None:
    from mindscope.personas import SweepResult
    from mindscope.store import part_of

    file = folder / part_of("sweep", trait) / "sweep.json"
    return SweepResult.load(file) if file.exists() else None


def chosen(path: Path, vectors: PersonaVectors) -> tuple[int | None, float | None]:
    """Layer and coefficient that a sweep in the run chose for these vectors."""
    sweep = load_sweep(path, vectors.trait) if path.is_dir() else None
    if sweep is None or sweep.chosen is None:
        return None, None
    point = sweep.choice()
    return point.layer, point.coefficient


def load_steering(folder: Path, trait: str) -> SteeringResult | None:
    from mindscope.personas import SteeringResult
    from mindscope.store import part_of

    file = folder / part_of("steer", trait) / "steering.json"
    return SteeringResult.load(file) if file.exists() else None


def write_report(folder: Path, vectors: PersonaVectors) -> Path:
    """The page of everything that the run holds by now about these vectors."""
    from mindscope.personas import add_persona
    from mindscope.reports import Report

    model = str(vectors.metadata.get("model", "an unnamed model"))
    report = Report(f"Persona: {vectors.trait}", f"persona vectors of {model}")
    if model == ORGANISM:
        report.note(TEST_BED)
    sweep, steering = load_sweep(folder, vectors.trait), load_steering(folder, vectors.trait)
    return add_persona(report, vectors, sweep, steering).write(folder / "report.html")


def persona_document(file: Path) -> dict[str, Any]:
    """All that is known about the vectors in `file`: their layers, the sweep's choice, the steering."""
    from mindscope.personas import PersonaVectors

    vectors = PersonaVectors.load(file)
    folder = file.parent.parent.parent  # a run keeps extract/TRAIT/vectors.safetensors
    swept, steered = load_sweep(folder, vectors.trait), load_steering(folder, vectors.trait)
    choice = None
    if swept is not None and swept.chosen is not None:
        point = swept.choice()
        trait, coherence = point.scores.trait, point.scores.coherence
        choice = {
            "layer": point.layer,
            "coefficient": point.coefficient,
            "trait": trait and trait.mean,
            "coherence": coherence and coherence.mean,
        }
    return vectors_document(vectors) | {
        "file": str(file),
        "sweep": choice,
        "steering": steered.summary() if steered is not None else None,
    }


def vectors_document(vectors: PersonaVectors) -> dict[str, Any]:
    statistics = vectors.statistics
    norms = vectors.norms.tolist()
    layers = [
        {
            "layer": layer,
            "norm": norms[layer],
            "d_prime": statistics.d_prime[layer] if statistics else None,
            "auroc": statistics.auroc[layer] if statistics else None,
            "cosine": statistics.cosine[layer] if statistics else None,
        }
        for layer in vectors.layers
    ]
    return {
        "trait": vectors.trait,
        "fingerprint": vectors.fingerprint,
        "model": vectors.metadata.get("model"),
        "d_model": vectors.d_model,
        "filter": vectors.metadata.get("filter"),
        "layers": layers,
    }


def print_layers(document: dict[str, Any]) -> None:
    kept = document["filter"]
    pairs = f", {kept['kept']} of {kept['pairs']} pairs" if kept else ""
    columns = ["layer", "norm", "d_prime", "auroc", "cosine"]
    rows = [[row[column] for column in columns] for row in document["layers"]]
    print_table(columns, rows, f"{document['trait']}: {document['model'] or 'imported'}{pairs}")


def print_sweep(result: SweepResult) -> None:
    rows = [
        [
            point.layer,
            point.coefficient,
            point.scores.trait and point.scores.trait.mean,
            point.scores.coherence and point.scores.coherence.mean,
            point.random and point.random.trait and point.random.trait.mean,
            "chosen" if index == result.chosen else "",
        ]
        for index, point in enumerate(result.points)
    ]
    before = result.unsteered.trait
    title = f"{result.trait}: unsteered {before.mean:.1f}" if before else result.trait
    print_table(["layer", "coefficient", "trait", "coherence", "random", ""], rows, title)


def print_steering(result: SteeringResult) -> None:
    rows = [
        [name, arm.scores.trait and arm.scores.trait.mean, arm.scores.coherence and arm.scores.coherence.mean]
        for name in ("unsteered", "steered", "against", "random")
        for arm in [getattr(result, name)]
    ]
    title = f"{result.trait}: layer {result.config.layer}, coefficient {result.config.coefficient:g}"
    print_table(["", "trait", "coherence"], rows, title)
