"""Which features are kept: the most influential, whatever blocks the rows were traced in."""

import circuit_kit
import pytest
import torch

from mindscope.circuits import AttributionGraph, DictionaryReplacement, TraceConfig, trace
from mindscope.models import Model


@pytest.fixture(scope="module")
def replacement(llama: Model) -> DictionaryReplacement:
    return DictionaryReplacement(circuit_kit.dictionary(llama))


def influence(graph: AttributionGraph) -> torch.Tensor:
    """By the definition, over the square matrix."""
    share = graph.adjacency() / graph.adjacency().abs().sum(1, keepdim=True).clamp(min=1e-8)
    share = share.abs().double()
    start = torch.zeros(graph.n_nodes, dtype=torch.float64)
    start[graph.n_sources :] = graph.target_weights.double()
    computed = start @ torch.linalg.inv(torch.eye(graph.n_nodes) - share) - start
    return computed[: graph.n_features]


def test_the_most_influential_features_are_kept(llama: Model, replacement: DictionaryReplacement):
    whole = trace(llama, replacement, circuit_kit.ROW)
    most = whole.n_features // 4
    graph = trace(llama, replacement, circuit_kit.ROW, TraceConfig(max_features=most))
    assert graph.n_features == most
    assert graph.metadata["traced_features"] < whole.n_features
    rank = influence(whole).argsort(descending=True)
    best = {tuple(whole.features[i].tolist()) for i in rank[:most].tolist()}
    kept = {tuple(feature) for feature in graph.features.tolist()}
    assert len(best & kept) >= 0.97 * most  # influence through features that were not traced is not known
    kept_rows = [whole.features.tolist().index(list(feature)) for feature in graph.features.tolist()]
    torch.testing.assert_close(graph.edges[:most, :most], whole.edges[kept_rows][:, kept_rows])
    total = graph.edges.sum(1) + graph.unselected + graph.biases
    torch.testing.assert_close(total, graph.preactivations, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rank_every", [None, 20])
def test_blocks_do_not_matter(llama: Model, replacement: DictionaryReplacement, rank_every: int | None):
    graph = [
        trace(
            llama,
            replacement,
            circuit_kit.ROW,
            TraceConfig(max_features=60, rank_every=rank_every, memory=memory),
        )
        for memory in (1, 2**17, 2**28)
    ]
    assert all(torch.equal(result.features, graph[0].features) for result in graph)
    for result in graph:
        torch.testing.assert_close(result.edges, graph[0].edges, atol=1e-6, rtol=1e-5)


def test_progress_ends_where_it_says(llama: Model, replacement: DictionaryReplacement):
    seen: list[tuple[int, int]] = []
    config = TraceConfig(max_features=60, memory=2**17)
    trace(
        llama,
        replacement,
        circuit_kit.ROW,
        config,
        progress=lambda done, total, _: seen.append((done, total)),
    )
    assert len(seen) > 3
    assert all(done <= total for done, total in seen)
    assert seen[-1][0] == seen[-1][1]
