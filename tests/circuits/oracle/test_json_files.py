"""The public graph JSON: as the published implementation writes it, read from it, and there and back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from circuit_graphs import FINDINGS, PARITY, parity_graph, random_graph

from mindscope.circuits import (
    AttributionGraph,
    AttributionTarget,
    GraphView,
    Supernode,
    build_graph_json,
    build_graph_page,
    prune_graph,
    read_graph_json,
    write_graph_json,
)
from mindscope.circuits.graph.graph import TENSORS

ERROR = "mlp reconstruction error"


def published_graph(parity: Path, name: str) -> tuple[Path, dict]:
    path = parity / name / "graph" / f"{name}.json"
    return path, json.loads(path.read_text())


def with_new_error_ids(document: dict) -> dict:
    """The same document with errors called LAYER_-1_POSITION. No error shares a feature's id here."""
    new = {
        node["node_id"]: f"{node['layer']}_-1_{node['ctx_idx']}"
        for node in document["nodes"]
        if node["feature_type"] == ERROR
    }
    assert not set(new) & {node["node_id"] for node in document["nodes"] if node["feature_type"] != ERROR}
    nodes = [{**node, "node_id": new.get(node["node_id"], node["node_id"])} for node in document["nodes"]]
    links = [{**link, "source": new.get(link["source"], link["source"])} for link in document["links"]]
    return {**document, "nodes": nodes, "links": links}


@pytest.mark.parametrize("name", PARITY)
def test_the_document_is_the_published_one(parity: Path, name: str) -> None:
    _, document = published_graph(parity, name)
    graph, _ = parity_graph(parity, name)
    graph = replace(graph, metadata={"prompt": " ".join(graph.tokens)})
    ours = build_graph_json(graph, slug=name, scan=f"local/{name}")
    theirs = with_new_error_ids(document)
    assert {key: ours["metadata"][key] for key in theirs["metadata"]} == theirs["metadata"]
    assert ours["qParams"] == theirs["qParams"]
    assert len(ours["nodes"]) == len(theirs["nodes"])
    for node, other in zip(ours["nodes"], theirs["nodes"], strict=True):
        assert node | {"influence": 0} == other | {"influence": 0}
        assert node["influence"] == pytest.approx(other["influence"], abs=1e-5)
    assert [{**link} for link in ours["links"]] == theirs["links"]


@pytest.mark.parametrize("name", PARITY)
def test_a_published_file_is_read_back(parity: Path, name: str) -> None:
    path, _ = published_graph(parity, name)
    full, expected = parity_graph(parity, name)
    read = read_graph_json(path)
    small = prune_graph(full).graph(full)
    assert torch.equal(read.graph.features, small.features)
    assert torch.equal(read.graph.edges, small.edges)
    assert read.graph.ids == full.ids
    assert read.graph.targets == tuple(replace(target, position=9) for target in full.targets)
    assert [read.graph.id(node) for node in read.pruned.nodes] == [
        full.id(node) for node in prune_graph(full).nodes
    ]
    assert (read.graph.fingerprint, read.graph.metadata["scan"]) == ("", f"local/{name}")
    kept = expected["node_mask"]
    cumulative = torch.from_numpy(expected["cumulative_scores"][kept])
    torch.testing.assert_close(read.pruned.cumulative[read.pruned.node_mask], cumulative, atol=1e-6, rtol=0)


def test_there_and_back_loses_nothing(tmp_path: Path) -> None:
    graph = random_graph(seed=5, layers=4, positions=5, features=40)
    edges = graph.edges.clone()
    edges[-1] *= graph.layers[: graph.n_sources] < 2
    targets = (graph.targets[0], AttributionTarget("evil", None, -0.5, layer=2, position=4))
    graph = replace(graph, edges=edges, targets=targets, metadata={"model": "m"}, **FINDINGS)
    pruned = prune_graph(graph, 0.7, 0.9)
    names = [graph.id(node) for node in pruned.nodes]
    view = GraphView(
        supernodes=(
            Supernode(label="Texas", members=(names[0], names[2]), score=0.5),
            Supernode(label="by hand", members=(names[1],)),
        ),
        labels={names[0]: "a <b> label"},
        pinned=(names[1],),
        others={"linkType": "output", "clickedId": names[0], "sg_pos": "1"},
    )
    detail = {"index": 0, "top_logits": ["a"]}
    path = write_graph_json(tmp_path, graph, pruned, slug="one", view=view, details={(1, 7): detail})
    layer, latent, position = map(int, names[0].split("_"))
    number = (layer + latent) * (layer + latent + 1) // 2 + latent
    edited = json.loads(path.read_text())["qParams"]["clerps"]
    assert edited == [[f"{layer}_{number}_{position}", "a <b> label"]]
    read = read_graph_json(path)
    small = pruned.graph(graph)
    for name in (
        "features",
        "activations",
        "edges",
        "preactivations",
        "biases",
        "unselected",
        "unselected_absolute",
    ):
        assert torch.equal(getattr(read.graph, name), getattr(small, name)), name
    for name in set(AttributionGraph.__dataclass_fields__) - {*TENSORS, "edges"}:
        assert getattr(read.graph, name) == getattr(small, name), name
    assert read.view == view
    assert (read.pruned.node, read.pruned.edge) == (0.7, 0.9)
    assert [read.graph.id(node) for node in read.pruned.nodes] == names
    assert json.loads((tmp_path / "features" / "m" / "43.json").read_text()) == {
        "index": 43,
        "top_logits": ["a"],
    }
    write_graph_json(tmp_path, graph, slug="two")
    write_graph_json(tmp_path, graph, slug="one")
    index = json.loads((tmp_path / "graph-metadata.json").read_text())
    assert [entry["slug"] for entry in index["graphs"]] == ["two", "one"]


def test_an_old_error_name_that_is_a_features_too_is_told_apart(tmp_path: Path) -> None:
    """Feature 0_1_2 (latent 1) and the error of layer 1 at position 2, once called 0_1_2 as well."""
    graph = random_graph(seed=1, layers=3, positions=4, features=12)
    features = graph.features.clone()
    features[0] = torch.tensor([0, 0, 3])
    features[1] = torch.tensor([0, 2, 1])
    edges = graph.edges.clone()
    where = graph.positions[graph.rows] >= 2
    edges[:, 1] = torch.where(where & (graph.layers[graph.rows] > 0), 5.0, 0.0)
    order = (features[:, 0] * 4 + features[:, 1]) * 10 + features[:, 2]
    if not (order.diff() > 0).all():
        pytest.fail("the features must stay in order")
    kept = edges * (graph.layers[: graph.n_sources] < graph.layers[graph.rows][:, None])
    kept[:2] = 0
    kept[0, graph.n_features + graph.n_errors] = 1.0
    kept[1, graph.n_features + graph.n_errors] = 1.0
    graph = replace(graph, features=features, edges=kept)
    document = build_graph_json(graph, prune_graph(graph, 1.0, 1.0), slug="old")
    del document["mindscope"]
    for node in document["nodes"]:
        if node["feature_type"] == ERROR:
            node["node_id"] = f"0_{node['layer']}_{node['ctx_idx']}"
    for link in document["links"]:
        layer, latent, position = link["source"].split("_")
        if latent == "-1":
            link["source"] = f"0_{layer}_{position}"
    twice = [node["node_id"] for node in document["nodes"]]
    assert twice.count("0_1_2") == 2
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    read = read_graph_json(path).graph
    expected = prune_graph(graph, 1.0, 1.0).graph(graph)
    assert torch.equal(read.edges, expected.edges)


@pytest.mark.parametrize("age", ["new", "old"])
def test_a_file_with_gaps_is_read_with_the_same_edges(tmp_path: Path, age: str) -> None:
    """One latent at two positions, labels null, no probabilities, links in no order: all seen in files."""
    graph = random_graph(seed=3)
    features = graph.features.clone()
    features[:2] = torch.tensor([[0, 0, 4], [0, 1, 4]])
    edges = graph.edges.clone()
    edges[:2, : graph.n_features + graph.n_errors] = 0
    edges[0, graph.n_features + graph.n_errors + 1 :] = 0
    edges[1, graph.n_features + graph.n_errors + 2 :] = 0
    before = graph.layers[: graph.n_sources] < graph.layers[graph.rows][:, None]
    later = torch.tensor([0, 1, *graph.positions[2 : graph.n_sources].tolist()])
    edges *= before & (later <= torch.tensor([0, 1, *graph.positions[graph.rows][2:].tolist()])[:, None])
    graph = replace(graph, features=features, edges=edges)
    document = build_graph_json(graph, prune_graph(graph, 1.0, 1.0), slug="gaps")
    del document["mindscope"]
    for node in document["nodes"]:
        node["clerp"] = None
        del node["token_prob"]
        if age == "old" and node["feature_type"] == ERROR:
            node["node_id"] = f"0_{node['layer']}_{node['ctx_idx']}"
    if age == "old":
        for link in document["links"]:
            layer, latent, position = link["source"].split("_")
            if latent == "-1":
                link["source"] = f"0_{layer}_{position}"
    document["links"].reverse()
    path = tmp_path / "gaps.json"
    path.write_text(json.dumps(document))
    public = read_graph_json(path)
    expected = prune_graph(graph, 1.0, 1.0).graph(graph)
    assert torch.equal(public.graph.features, expected.features)
    assert torch.equal(public.graph.edges, expected.edges)
    assert [target.weight for target in public.graph.targets] == [0.5, 0.5]
    assert public.view.labels == {}
    assert len(build_graph_page(public.graph, public.pruned)) > 1000
