"""The jobs about traits, vectors, chat and the demo: each is explained, and callable from Python."""

import job_kit
import persona_kit
import pytest
import torch

from mindscope.errors import DataError
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.chat import ChatSpec, ChatTurn
from mindscope.jobs.demo import DemoSpec, demo
from mindscope.jobs.persona import (
    ExtractSpec,
    ShowVectorsSpec,
    SteerSpec,
    SweepSpec,
    extract,
    show,
    steer,
    sweep,
)
from mindscope.jobs.persona.traits import TraitsReport, TraitsSpec, WriteTraitSpec, show_traits, write_trait
from mindscope.jobs.persona.vector_files import (
    ExportVectorsSpec,
    ImportVectorsSpec,
    export_vectors,
    import_vectors,
)
from mindscope.models import load
from mindscope.personas import PersonaVectors, Trait

SILENT = SilentReporter()


@pytest.mark.parametrize(
    "job", [extract, sweep, steer, show, show_traits, write_trait, export_vectors, import_vectors, demo]
)
def test_fields_are_explained(job):
    job_kit.require_sentences(job)


@pytest.mark.parametrize(
    "spec",
    [
        ExtractSpec(model="organism", trait="evil", samples=3, judge="exact"),
        SweepSpec(model="organism", trait="evil", layers=(1, 2), positions="all"),
        SteerSpec(model="organism", trait="evil", layer=2, question=("Why?",)),
        ShowVectorsSpec(path="runs/evil"),
        TraitsSpec(trait="evil", save="evil.yaml"),
        WriteTraitSpec(name="calm", to="calm.yaml", description="It stays calm.", writer="model:x"),
        ExportVectorsSpec(vectors="v.safetensors", to="v.gguf", layer=3),
        ImportVectorsSpec(model="organism", source="v.pt", to="v.safetensors"),
        ChatSpec(model="organism", vectors=("runs/evil",), coefficient=-1.5),
        DemoSpec(seed=3),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_specifications_go_to_json_and_back(spec):
    job_kit.require_round_trip(spec)


def test_traits_are_listed_shown_and_saved(tmp_path):
    listing = show_traits(TraitsSpec(), reporter=SILENT)
    assert {"evil", "organism:evil"} <= {trait.name for trait in listing.root}
    reporter = job_kit.RecordingReporter()
    file = tmp_path / "evil.json"
    report = show_traits(TraitsSpec(trait="evil", save=file), reporter=reporter)
    assert report.root == Trait.load("evil") == Trait.load(file)
    assert reporter.lines == [f"saved as {file}"]
    assert TraitsReport.model_validate_json(report.model_dump_json()) == report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and its vectors."""
    place = tmp_path_factory.mktemp("tiny")
    model = load(str(persona_kit.tiny_chat_model(place / "model")), dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    vectors = PersonaVectors("loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2))
    vectors.save(place / "vectors.safetensors")
    return place


def test_vectors_go_to_another_format_and_back(folder, tmp_path):
    export_vectors(
        ExportVectorsSpec(vectors=folder / "vectors.safetensors", to=tmp_path / "v.gguf", layer=1),
        reporter=SILENT,
    )
    spec = ImportVectorsSpec(
        model=str(folder / "model"), source=tmp_path / "v.gguf", to=tmp_path / "v.safetensors"
    )
    written = import_vectors(spec, reporter=SILENT)
    ours = PersonaVectors.load(folder / "vectors.safetensors")
    torch.testing.assert_close(PersonaVectors.load(written.file).answer_mean[1], ours.answer_mean[1])


def test_a_program_talks(folder):
    spec = ChatSpec(
        model=str(folder / "model"),
        dtype="float32",
        vectors=(folder / "vectors.safetensors",),
        layer=1,
        coefficient=2.0,
        max_new_tokens=4,
    )
    turn = spec.open().answer("Hello")
    assert (turn.steering, turn.layer, turn.dial) == ("2 loud", 1, 2.0)
    assert turn.pushed["loud"] > 0
    assert ChatTurn.model_validate_json(turn.model_dump_json()) == turn


def test_a_run_without_vectors_says_what_to_do(folder, tmp_path):
    persona_kit.tiny_trait().save(tmp_path / "loud.yaml")
    spec = SteerSpec(model=str(folder / "model"), trait=str(tmp_path / "loud.yaml"))
    with pytest.raises(DataError, match="run `mindscope persona extract` first"):
        steer(spec, run=RunFolder(tmp_path / "run"), reporter=SILENT)
