"""The jobs of circuits, called from Python on a tiny random model with its neurons."""

from pathlib import Path

import job_kit
import persona_kit
import pytest

from mindscope.circuits import AttributionGraph
from mindscope.errors import DataError
from mindscope.jobs import RunFolder
from mindscope.jobs.circuit import (
    InterveneSpec,
    ShowGraphSpec,
    ShowHeadsSpec,
    TraceSpec,
    ValidateGraphSpec,
    intervene,
    show,
    show_heads,
    trace,
    validate,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=3))


@pytest.fixture(scope="module")
def folder(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traced") / "run"
    reporter = job_kit.RecordingReporter()
    report = trace(
        TraceSpec(model=model, prompt="ab cd", max_features=40), run=RunFolder(path), reporter=reporter
    )
    assert (report.features, report.graph) == (40, str(path / "graph.safetensors"))
    assert reporter.labels
    return path


def test_a_graph_is_shown_as_it_was_traced(folder: Path):
    listing = show(ShowGraphSpec(graph=folder, top=3), reporter=job_kit.RecordingReporter())
    graph = AttributionGraph.load(folder / "graph.safetensors")
    assert (listing.features, len(listing.nodes)) == (graph.n_features, 3)
    assert listing.paths is None
    assert listing.supernodes is None


def test_changes_checks_and_heads_take_the_same_graph(model: str, folder: Path):
    graph, reporter = AttributionGraph.load(folder / "graph.safetensors"), job_kit.RecordingReporter()
    spec = InterveneSpec(
        model=model, graph=folder, scale=(f"{graph.id(0)}=0",), mode="constrained", layers="0:3"
    )
    assert spec.held_layers() == range(3)
    report = intervene(spec, reporter=reporter)
    assert (report.changes, report.texts) == (1, None)
    checked = validate(
        ValidateGraphSpec(model=model, graph=folder, top=2, mode="constrained"), reporter=reporter
    )
    assert AttributionGraph.load(folder / "graph.safetensors").validation == checked
    heads = show_heads(ShowHeadsSpec(model=model, graph=folder, head="1.0"), reporter=reporter)
    assert heads.edges is None
    assert heads.score is not None
    assert heads.score.layer == 1


def test_what_cannot_be_done_is_refused_before_a_model_is_loaded():
    known = {"model": "nowhere", "graph": "run"}
    with pytest.raises(DataError, match="nothing is changed"):
        InterveneSpec(**known)
    with pytest.raises(DataError, match="is not a change"):
        InterveneSpec(**known, set=("0_1_1=x",))
    with pytest.raises(DataError, match="add --mode constrained"):
        InterveneSpec(**known, set=("0_1_1=1",), layers="0:3")
    with pytest.raises(DataError, match=r"write LAYER\.HEAD"):
        ShowHeadsSpec(**known, head="3")
    with pytest.raises(DataError, match="needs --chat"):
        TraceSpec(model="nowhere", prompt="x", system="Be.")
    with pytest.raises(DataError, match="is not a feature"):
        TraceSpec(model="nowhere", prompt="x", feature=("one",))
