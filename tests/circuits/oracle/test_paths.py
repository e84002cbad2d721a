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
    result: dict[tuple[int, ...], float] = {}

    def back(nodes: tuple[int, ...], share: float) -> None:
        if nodes[0] == source:
            result[nodes] = share
        elif nodes[0] in row:
            for before in shares[row[nodes[0]]].nonzero()[:, 0].tolist():
                back((before, *nodes), share * float(shares[row[nodes[0]], before]))

    back((target,), 1.0)
    return result


@pytest.mark.parametrize("source", [0, 20, 41])
def test_the_strongest_ways_are_the_strongest_of_all(source: int) -> None:
    graph = random_graph(seed=source, layers=4, positions=4, features=24)
    target = graph.n_sources
    all_ways = sorted(every_way(graph, source, target).items(), key=lambda way: -way[1])
    strongest = find_paths(graph, source, target, 7)
    assert [path.nodes for path in strongest.paths] == [nodes for nodes, _ in all_ways[:7]]
    assert [path.share for path in strongest.paths] == pytest.approx([share for _, share in all_ways[:7]])
    assert strongest.total == pytest.approx(sum(share for _, share in all_ways), rel=1e-4)
    square = graph.adjacency()
    for path in strongest.paths:
        signs = [float(square[b, a].sign()) for a, b in zip(path.nodes, path.nodes[1:], strict=False)]
        assert path.sign == int(torch.tensor(signs).prod())


def test_few_ways_none_and_wrong_ends() -> None:
    graph = random_graph(layers=2, positions=2, features=6)
    edges = torch.zeros_like(graph.edges)
    edges[6, 0] = -2.0
    graph = replace(graph, edges=edges)
    strongest = find_paths(graph, 0, graph.n_sources)
    assert [(path.nodes, path.share, path.sign) for path in strongest.paths] == [
        ((0, graph.n_sources), 1.0, -1)
    ]
    assert find_paths(graph, 1, graph.n_sources) == find_paths(graph, 2, graph.n_sources)
    assert find_paths(graph, 1, graph.n_sources).paths == ()
    with pytest.raises(DataError, match="a path leads from"):
        find_paths(graph, graph.n_sources, 0)
    with pytest.raises(DataError, match="count"):
        find_paths(graph, 0, graph.n_sources, 0)
