"""Graphs saved in version 1 are read: what stood in their metadata has fields of its own."""

import json
from pathlib import Path

import pytest
import torch

from mindscope.circuits import AttributionGraph, read_graph_json
from mindscope.errors import StoreError

DATA = Path(__file__).parents[1] / "data"
"""Twelve features of a tiny Llama's transcoders, as graphs were written before they had these fields."""


@pytest.fixture(params=["graph_version_1.safetensors", "graph_first_form.json"])
def graph(request: pytest.FixtureRequest) -> AttributionGraph:
    path = DATA / request.param
    return read_graph_json(path).graph if path.suffix == ".json" else AttributionGraph.load(path)


def test_what_stood_in_metadata_has_fields(graph: AttributionGraph):
    assert graph.replacement_digest == "abbd1de4998f1a918ded7e62cea8a239"
    assert graph.replacement_name == "some/transcoders"
    assert graph.skip_tokens == 2
    assert graph.target_spec == {"kind": "top_logits", "most": 10, "probability": 0.95}
    assert graph.metadata["config"]["skip_tokens"] == 2
    assert graph.metadata["prompt"] == "a prompt"
    assert not {"dictionary", "targets", "attention", "validation"} & graph.metadata.keys()


def test_heads_and_validation_are_documents(graph: AttributionGraph):
    assert graph.attention is not None
    assert [(edge.source, edge.target) for edge in graph.attention.loadings] == [
        ("2_-1_9", "4_35_9"),
        ("2_-1_9", "4_6_9"),
        ("2_-1_9", "4_19_9"),
    ]
    (score,) = graph.attention.scores
    assert (score.place, len(score.pairs)) == ((1, 1, 9, 7), 3)
    assert graph.validation is not None
    assert graph.validation.overall.pairs == len(graph.validation.predicted) == 21
    assert graph.validation.overall.r == pytest.approx(0.5678419453038833)
    assert graph.validation.labels[0] == "0_30_9 → 1_37_9"


def test_it_is_saved_in_the_new_form_alike(graph: AttributionGraph, tmp_path: Path):
    graph.save(tmp_path / "graph.safetensors")
    again = AttributionGraph.load(tmp_path / "graph.safetensors")
    for name in AttributionGraph.__dataclass_fields__:
        before, after = getattr(graph, name), getattr(again, name)
        assert torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after, name


def test_a_damaged_validation_is_named(tmp_path: Path):
    document = json.loads((DATA / "graph_first_form.json").read_text())
    document["mindscope"]["metadata"]["validation"]["mode"] = "sideways"
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="cannot be used: mode: Input should be 'open'"):
        read_graph_json(path)
