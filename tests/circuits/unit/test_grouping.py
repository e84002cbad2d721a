from dataclasses import replace

import pytest
import torch
from circuit_graphs import random_graph

from mindscope.circuits import (
    AttributionGraph,
    Supernode,
    build_supernode_graph,
    find_supernodes,
    prune_graph,
)
from mindscope.circuits.graph.grouping import compare_roles
from mindscope.errors import DataError


def planted() -> tuple[AttributionGraph, list[list[int]]]:
    """Three groups of four features in layers 1 and 2; a group reads one token and writes one target."""
    graph = random_graph(layers=3, positions=3, features=12)
    places = [(1 + i % 2, 1 + i // 8, i) for i in range(12)]  # groups 0 and 1 at position 1, 2 at position 2
    places.sort()
    which = [latent // 4 for _, _, latent in places]
    draw = torch.Generator().manual_seed(0)
    edges = torch.zeros(14, graph.n_sources)
    tokens = graph.n_features + graph.n_errors
    for i, number in enumerate(which):
        edges[i, tokens + number % 2] = 2.0
        edges[i, tokens + 1] += 0.1 * torch.rand((), generator=draw)
        edges[12 + number % 2, i] = 1.0 if number < 2 else -1.0
    features = torch.tensor(places)
    groups = [[i for i, n in enumerate(which) if n == number] for number in range(3)]
    return replace(graph, features=features, edges=edges), groups


def test_planted_groups_are_found_and_scored() -> None:
    graph, groups = planted()
    results = find_supernodes(graph, prune_graph(graph, 1.0, 1.0))
    assert sorted(sorted(map(graph.find, result.members)) for result in results) == sorted(groups)
    assert all(result.score is not None and result.score > 0.8 for result in results)
    assert [result.score for result in results] == sorted((result.score for result in results), reverse=True)
    assert results[0].label.startswith("t")
    assert len({result.label for result in results}) == 3


def test_what_is_far_apart_is_not_grouped() -> None:
    graph, _ = planted()
    features = graph.features.clone()
    features[:, 1] = torch.where(features[:, 2] % 4 < 2, 0, 2)  # half of each group goes to another token
    order = ((features[:, 0] * 3 + features[:, 1]) * 12 + features[:, 2]).argsort()
    edges = torch.cat([graph.edges[order], graph.edges[12:]])
    edges[:, :12] = edges[:, order]
    edges[:12, 12 + 9 :] = 0
    edges[:12, 12 + 9] = 1.0  # all read the first token
    graph = replace(graph, features=features[order], edges=edges)
    for group in find_supernodes(graph, prune_graph(graph, 1.0, 1.0)):
        positions = {int(graph.positions[graph.find(name)]) for name in group.members}
        assert positions in ({0}, {2})
    together = find_supernodes(graph, prune_graph(graph, 1.0, 1.0), distance=2)
    assert any(
        {int(graph.positions[graph.find(name)]) for name in group.members} == {0, 2} for group in together
    )


def test_labels_and_effects_decide_where_the_graph_does_not() -> None:
    graph, groups = planted()
    pruned = prune_graph(graph, 1.0, 1.0)
    labels = {graph.id(node): ("odd" if node % 2 else "even") for members in groups for node in members}
    effects = torch.stack([torch.tensor([1.0, 0.0] if node % 2 else [0.0, 1.0]) for node in range(12)])
    for group in find_supernodes(graph, pruned, labels=labels, effects=effects, alike=0.6):
        nodes = [graph.find(name) for name in group.members]
        assert len({node % 2 for node in nodes}) == 1
        assert group.label.startswith("odd" if nodes[0] % 2 else "even")


def test_features_that_feed_each_other_are_alike() -> None:
    graph, _ = planted()
    edges = torch.zeros_like(graph.edges)
    low, high = (graph.features[:, 0] == 1).nonzero()[:, 0][0], (graph.features[:, 0] == 2).nonzero()[:, 0][0]
    edges[low, graph.n_features + graph.n_errors] = 1.0
    edges[high, low], edges[high, graph.n_features + graph.n_errors] = 0.9, 0.1
    edges[12, high] = 1.0
    graph = replace(graph, edges=edges)
    likeness = compare_roles(prune_graph(graph, 1.0, 1.0).graph(graph))
    assert likeness.shape == (2, 2)
    assert likeness[0, 1] == pytest.approx(0.9, abs=1e-5)


def test_a_grouped_graph_sums_edges() -> None:
    graph = random_graph(layers=4, features=20)
    names = [graph.id(i) for i in range(20)]
    one = Supernode(label="one", members=(names[0], names[3]))
    two = Supernode(label="two", members=(names[15], names[18]))
    grouped = build_supernode_graph(graph, [one, two], [15, 27, graph.n_sources])
    assert grouped.labels == ("one", "two", graph.id(27), graph.id(graph.n_sources))
    square = graph.adjacency()
    assert grouped.edges[1, 0] == pytest.approx(float(square[[15, 18]][:, [0, 3]].sum()), abs=1e-5)
    assert grouped.edges[3, 1] == pytest.approx(float(square[graph.n_sources, [15, 18]].sum()), abs=1e-5)
    assert not grouped.edges.diagonal().any()
    assert float(grouped.activations[1]) == pytest.approx(float(graph.activations[[15, 18]].sum()))
    assert grouped.shares[3].sum() == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(DataError, match="more than one supernode"):
        build_supernode_graph(graph, [one, Supernode(label="again", members=(names[3],))])
    with pytest.raises(DataError, match="no node '7_7_7'"):
        build_supernode_graph(graph, [Supernode(label="no", members=("7_7_7",))])
