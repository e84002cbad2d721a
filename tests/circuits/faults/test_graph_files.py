"""Graph files that cannot be used are refused in one line that says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from circuit_graphs import random_graph
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import FAMILIES, build

from mindscope.circuits import (
    AttributionGraph,
    build_graph_json,
    prune_for_page,
    prune_graph,
    read_graph_json,
    write_graph_json,
)
from mindscope.errors import DataError, StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "graph.safetensors"
    random_graph().save(path)
    return path


def rewritten(path: Path, tensors: dict[str, torch.Tensor | None], **header: Any) -> None:
    """Change tensors (None takes one away) and metadata of a file behind mindscope's back."""
    with safe_open(path, "pt") as file:
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(file.metadata()["mindscope"])
    for name, tensor in tensors.items():
        held.pop(name) if tensor is None else held.update({name: tensor})
    graph = header.pop("graph", {})
    metadata |= header
    metadata["graph"] |= graph
    save_file(held, path, metadata={"mindscope": json.dumps(metadata)})


def refused(read: Callable[[], object], message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


def cyclic() -> torch.Tensor:
    edges = random_graph().edges.clone()
    edges[0, 11] = 1.0
    return edges


@pytest.mark.parametrize(
    ("tensors", "header", "message"),
    [
        ({}, {"version": 3}, "written by a newer mindscope"),
        ({}, {"schema": "mindscope.dictionary"}, "'mindscope.attribution_graph' is needed"),
        ({"edges": cyclic()}, {}, "has a cycle: 0_.* cannot depend on 2_.*; trace it again"),
        ({"edges": torch.full((14, 28), torch.nan)}, {}, "NaN or infinity"),
        ({"biases": torch.zeros(3)}, {}, r"biases of shape \(3,\), \(14,\) is needed"),
        ({"edges": torch.zeros(14, 27)}, {}, r"edges of shape \(14, 27\), \(14, 28\) is needed"),
        ({"features": torch.zeros(12, 2).long()}, {}, r"features of shape \(12, 2\)"),
        ({"features": torch.zeros(12, 3).long()}, {}, "features that repeat"),
        ({"biases": None}, {}, "lacks 'biases'"),
        ({"edges": None}, {}, "holds no edges"),
        ({}, {"graph": {"targets": []}}, "a target at least"),
        ({}, {"graph": {"targets": [{"name": "a"}]}}, "cannot be used"),
        ({}, {"graph": {"ids": ["a", "b", "c", "d"]}}, "cannot be used"),
        ({}, {"graph": {"n_layers": "three"}}, "cannot be used"),
    ],
)
def test_a_graph_that_cannot_be_used_is_refused(
    path: Path, tensors: dict[str, Any], header: dict[str, Any], message: str
) -> None:
    rewritten(path, tensors, **header)
    refused(lambda: AttributionGraph.load(path), message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("edges.starts", torch.tensor([0, 900])),
        ("edges.sources", torch.full((1,), 99).int()),
        ("edges.size", torch.tensor([14, -28])),
        ("edges.size", torch.tensor([10**9, 10**9])),
        ("edges.starts", None),
    ],
)
def test_sparse_edges_that_do_not_fit_together_are_refused(
    path: Path, name: str, value: torch.Tensor | None
) -> None:
    graph = random_graph()
    prune_graph(graph, 0.5, 0.5).graph(graph).save(path)
    with safe_open(path, "pt") as file:
        assert name in file.keys()  # noqa: SIM118
    rewritten(path, {name: value})
    refused(lambda: AttributionGraph.load(path), "edges")


def test_a_cut_file_and_another_models_graph_are_refused(path: Path) -> None:
    model = build(FAMILIES[0])
    refused(lambda: AttributionGraph.load(path, model), "belongs to another model")
    path.write_bytes(path.read_bytes()[:-50])
    refused(lambda: AttributionGraph.load(path), "cut short")
    refused(lambda: AttributionGraph.load(path.with_name("none.safetensors")), "no such file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["metadata"].update(schema_version=2), "schema version 2, this mindscope reads up to 1"),
        (lambda d: d["nodes"][0].update(feature_type="lorsa"), "unknown type 'lorsa'"),
        (lambda d: d["links"].append({"source": "4_5_3", "target": "4_7_3", "weight": 1.0}), "has a cycle"),
        (
            lambda d: d["links"].append(
                {"source": d["nodes"][-8]["node_id"], "target": d["nodes"][0]["node_id"], "weight": 1.0}
            ),
            "has a cycle",
        ),
        (
            lambda d: d["links"].append({"source": "E_11_0", "target": "E_12_1", "weight": 1.0}),
            "leads into an error or a token",
        ),
        (
            lambda d: d["links"].append({"source": "9_9_9", "target": "4_5_3", "weight": 1.0}),
            "nodes that are not there",
        ),
        (lambda d: d["links"][0].update(weight=float("nan")), "NaN or infinity among its edges"),
        (lambda d: d["links"][0].pop("weight"), r"not an attribution graph: links\.0\.weight"),
        (lambda d: d.pop("nodes"), "not an attribution graph: nodes"),
        (lambda d: d["nodes"].append(d["nodes"][0]), "the same"),
        (lambda d: d["nodes"][0].update(ctx_idx=44), "cannot be used"),
        (lambda d: d["nodes"][0].update(layer="top"), "cannot be used"),
        (lambda d: d["nodes"][0].update(node_id="nonsense"), "cannot be used"),
        (lambda d: d.update(nodes=[n for n in d["nodes"] if n["feature_type"] != "logit"]), "no logit nodes"),
        (lambda d: d["qParams"].update(supernodes="x"), r"not an attribution graph: qParams\.supernodes"),
    ],
)
def test_a_public_file_that_cannot_be_used_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    graph = random_graph()
    document = build_graph_json(graph, prune_graph(graph, 1.0, 1.0), slug="a")
    del document["mindscope"]
    (tmp_path / "good.json").write_text(json.dumps(document))
    read_graph_json(tmp_path / "good.json")
    change(document)
    (tmp_path / "bad.json").write_text(json.dumps(document))
    refused(lambda: read_graph_json(tmp_path / "bad.json"), message)


def test_a_cut_public_file_a_bad_slug_and_a_damaged_index_are_refused(tmp_path: Path) -> None:
    graph = random_graph()
    path = write_graph_json(tmp_path, graph, slug="one")
    path.write_text(path.read_text()[:-30])
    refused(lambda: read_graph_json(path), "is not JSON")
    for slug in ("../out", "", ".hidden", "a/b"):
        refused(lambda slug=slug: write_graph_json(tmp_path, graph, slug=slug), "cannot be a graph's slug")
    (tmp_path / "graph-metadata.json").write_text('{"graphs": 3}')
    refused(lambda: write_graph_json(tmp_path, graph, slug="one"), "not an index of graphs")


def test_more_edges_than_a_page_can_open_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph()
    pruned = prune_graph(graph, 1.0, 1.0)
    n_edges = int(pruned.edge_mask.sum())
    monkeypatch.setattr("mindscope.circuits.files.write_json.MOST_LINKS", n_edges)
    build_graph_json(graph, pruned, slug="a")
    monkeypatch.setattr("mindscope.circuits.files.write_json.MOST_LINKS", n_edges - 1)
    with pytest.raises(DataError, match=f"keeps {n_edges} edges.*prune it to smaller shares"):
        build_graph_json(graph, pruned, slug="a")


def test_a_page_of_too_many_edges_is_given_the_strongest(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph()
    pruned = prune_graph(graph, 1.0, 1.0)
    assert prune_for_page(graph, pruned) is pruned
    most = int(pruned.edge_mask.sum()) // 2
    monkeypatch.setattr("mindscope.circuits.files.write_json.MOST_LINKS", most)
    fitting = prune_for_page(graph, pruned)
    assert 0 < int(fitting.edge_mask.sum()) <= most
    assert fitting.edge < pruned.edge
    assert not (fitting.edge_mask & ~pruned.edge_mask).any()
    build_graph_json(graph, fitting, slug="a")
