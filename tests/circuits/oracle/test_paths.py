from dataclasses import replace

import pytest
import torch
from circuit_graphs import random_graph

from mindscope.circuits import AttributionGraph, find_paths
from mindscope.errors import DataError


def every_way(graph: AttributionGraph, source: int, target: int) -> dict[tuple[int, ...], float]:
    """All ways by walking every edge back from the target."""
    shares = graph.row_normalised().double()
    row = {node: i for i, node in enumerate(graph.rows.tolist())}
    found: dict[tuple[int, ...], float] = {}

    def back(nodes: tuple[int, ...], share: float) -> None:
        if nodes[0] == source:
            found[nodes] = share
        elif nodes[0] in row:
            for before in shares[row[nodes[0]]].nonzero()[:, 0].tolist():
                back((before, *nodes), share * float(shares[row[nodes[0]], before]))

    back((target,), 1.0)
    return found


@pytest.mark.parametrize("source", [0, 20, 41])
def test_the_strongest_ways_are_the_strongest_of_all(source: int) -> None:
    graph = random_graph(seed=source, layers=4, positions=4, features=24)
    target = graph.n_sources
    all_ways = sorted(every_way(graph, source, target).items(), key=lambda one: -one[1])
    found = find_paths(graph, source, target, 7)
    assert [one.nodes for one in found.paths] == [nodes for nodes, _ in all_ways[:7]]
    assert [one.share for one in found.paths] == pytest.approx([share for _, share in all_ways[:7]])
    assert found.total == pytest.approx(sum(share for _, share in all_ways), rel=1e-4)
    square = graph.adjacency()
    for one in found.paths:
        signs = [float(square[b, a].sign()) for a, b in zip(one.nodes, one.nodes[1:], strict=False)]
        assert one.sign == int(torch.tensor(signs).prod())


def test_few_ways_none_and_wrong_ends() -> None:
    graph = random_graph(layers=2, positions=2, features=6)
    edges = torch.zeros_like(graph.edges)
    edges[6, 0] = -2.0
    graph = replace(graph, edges=edges)
    found = find_paths(graph, 0, graph.n_sources)
    assert [(one.nodes, one.share, one.sign) for one in found.paths] == [((0, graph.n_sources), 1.0, -1)]
    assert find_paths(graph, 1, graph.n_sources) == find_paths(graph, 2, graph.n_sources)
    assert find_paths(graph, 1, graph.n_sources).paths == ()
    with pytest.raises(DataError, match="a path leads from"):
        find_paths(graph, graph.n_sources, 0)
    with pytest.raises(DataError, match="count"):
        find_paths(graph, 0, graph.n_sources, 0)
