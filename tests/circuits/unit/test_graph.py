from dataclasses import replace

import pytest
import torch
from circuit_graphs import FINDINGS, random_graph

from mindscope.circuits import AttributionGraph, AttributionTarget
from mindscope.errors import DataError


def test_nodes_come_in_their_order_and_are_found_again() -> None:
    graph = random_graph()
    nodes = [graph.node(i) for i in range(graph.n_nodes)]
    assert [node.kind for node in nodes] == (
        ["feature"] * 12 + ["error"] * 12 + ["token"] * 4 + ["target"] * 2
    )
    assert [graph.index(node) for node in nodes] == list(range(graph.n_nodes))
    assert [graph.find(graph.id(i)) for i in range(graph.n_nodes)] == list(range(graph.n_nodes))
    assert (nodes[12 + 5].layer, nodes[12 + 5].position) == (1, 1)
    assert graph.id(12 + 5) == "1_-1_1"
    assert graph.id(24) == "E_11_0"
    assert [graph.id(28), graph.id(29)] == ["4_5_3", "4_7_3"]
    with pytest.raises(DataError, match="no node '9_9_9'"):
        graph.find("9_9_9")


def test_targets_without_a_token_have_names_of_their_own() -> None:
    targets = (
        AttributionTarget("evil", None, 1.0, layer=2, position=2),
        AttributionTarget("kind", None, 0.5, layer=2, position=2),
    )
    graph = random_graph()
    edges = graph.edges.clone()
    edges[12:] = 0
    graph = replace(graph, targets=targets, edges=edges)
    assert [graph.id(28), graph.id(29)] == ["4_-1_2", "4_-2_2"]
    assert (graph.node(29).layer, graph.node(29).position) == (2, 2)


def test_adjacency_has_the_edges_at_their_nodes() -> None:
    graph = random_graph()
    square = graph.adjacency()
    assert torch.equal(square[:12, :28], graph.edges[:12])
    assert torch.equal(square[28:, :28], graph.edges[12:])
    assert not square[12:28].any()
    assert not square[:, 28:].any()
    some = torch.tensor([29, 3, 14, 27, 0])
    assert torch.equal(graph.adjacency(some), square[some][:, some])


def test_unselected_features_take_their_share_of_a_row() -> None:
    graph = random_graph()
    full = graph.edges.abs().sum(1) > 0
    assert torch.allclose(graph.row_normalised().sum(1)[full], torch.ones(int(full.sum())))
    graph = replace(graph, unselected_absolute=graph.edges.abs().sum(1))
    assert torch.allclose(
        graph.row_normalised(unselected=True).sum(1)[full], torch.full((int(full.sum()),), 0.5)
    )


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_a_saved_graph_is_read_back_alike(tmp_path, kept: float) -> None:
    graph = random_graph()
    sparse = graph.edges * (torch.rand(graph.edges.shape, generator=torch.Generator().manual_seed(1)) < kept)
    graph = replace(graph, edges=sparse, **FINDINGS)
    graph.save(tmp_path / "a.safetensors")
    again = AttributionGraph.load(tmp_path / "a.safetensors")
    for name in AttributionGraph.__dataclass_fields__:
        one, other = getattr(graph, name), getattr(again, name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, name


def test_a_mostly_empty_graph_takes_little_room(tmp_path) -> None:
    graph = random_graph(layers=8, positions=12, features=300)
    graph.save(tmp_path / "full.safetensors")
    replace(graph, edges=graph.edges * (graph.edges > 2)).save(tmp_path / "pruned.safetensors")
    full, pruned = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "pruned"))
    assert pruned < full / 5


def test_a_graph_says_what_is_wrong_with_it() -> None:
    graph = random_graph()
    later = graph.edges.clone()
    later[0, 11] = 1.0  # from a higher layer
    ahead = graph.edges.clone()
    first = int((graph.features[:, 1] == 0).nonzero()[0])
    ahead[first, 27] = 1.0  # from the last token to the first position
    for change, message in [
        ({"edges": later}, "has a cycle: "),
        ({"edges": ahead}, r"has a cycle: .* cannot depend on E_14_3"),
        ({"edges": graph.edges.nan_to_num(0).log()}, "NaN or infinity among its edges"),
        ({"biases": graph.biases[1:]}, r"biases of shape \(13,\), \(14,\) is needed"),
        ({"features": graph.features.flip(0)}, "not sorted"),
        ({"features": graph.features + 3}, "outside its layers"),
        ({"tokens": graph.tokens[1:]}, "4 token ids but 3 texts"),
        (
            {"targets": (AttributionTarget("a", 1, float("nan")), AttributionTarget("b", 2, 1.0))},
            "weight is NaN",
        ),
        (
            {"targets": (AttributionTarget("a", 1, 1.0, layer=9), AttributionTarget("b", 2, 1.0))},
            "'a' outside",
        ),
    ]:
        with pytest.raises(DataError, match=message):
            replace(graph, **change)
