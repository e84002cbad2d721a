"""Influence, scores and pruning against a published implementation's numbers and a dense closed form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from circuit_graphs import PARITY, parity_graph, random_graph

from mindscope.circuits import compute_influence, prune_graph, score_graph


@pytest.mark.parametrize("name", PARITY)
def test_scores_and_pruning_are_those_of_the_parity_case(parity: Path, name: str) -> None:
    graph, expected = parity_graph(parity, name)
    replacement, completeness = expected["scores"]
    result = score_graph(graph)
    assert result.replacement == pytest.approx(replacement, abs=1e-6)
    assert result.completeness == pytest.approx(completeness, abs=1e-6)
    pruned = prune_graph(graph)
    assert np.array_equal(pruned.node_mask.numpy(), expected["node_mask"])
    n = graph.n_nodes
    mask = np.unpackbits(expected["edge_mask"])[: n * n].reshape(n, n).astype(bool)
    assert np.array_equal(pruned.edge_mask.numpy(), mask[graph.rows][:, : graph.n_sources])
    assert mask.sum() == pruned.edge_mask.sum()
    assert np.abs(pruned.cumulative.numpy() - expected["cumulative_scores"]).max() < 1e-5


def dense_influence(graph, unselected: bool = False) -> torch.Tensor:
    """w ((1 - Â)^-1 - 1) in float64."""
    square = graph.adjacency().double().abs()
    sums = square.sum(1)
    if unselected:
        sums[graph.rows] += graph.unselected_absolute.double()
    share = square / sums.clamp(min=1e-10)[:, None]
    eye = torch.eye(len(share), dtype=torch.float64)
    weights = torch.zeros(len(share), dtype=torch.float64)
    weights[graph.n_sources :] = graph.target_weights.double().abs()
    return weights @ (torch.linalg.inv(eye - share) - eye)


@pytest.mark.parametrize("unselected", [False, True])
def test_influence_is_the_closed_form(unselected: bool) -> None:
    graph = random_graph(layers=5, positions=6, features=60)
    graph = replace(graph, unselected_absolute=torch.rand(len(graph.rows)))
    influence = compute_influence(graph, unselected=unselected)
    torch.testing.assert_close(influence.double(), dense_influence(graph, unselected), atol=1e-5, rtol=1e-4)


def test_what_a_part_of_a_graph_explains_is_scored_as_if_the_rest_were_errors() -> None:
    """A feature outside of the part is turned into an error by hand: its column joins its layer's error."""
    graph = random_graph(seed=3, layers=4, positions=3, features=20)
    kept = torch.ones(graph.n_nodes, dtype=torch.bool)
    out = [4, 9, 15]
    kept[out] = False
    edges = graph.edges.abs()  # of one sign, so that columns may be summed
    for feature in out:
        layer, position = int(graph.layers[feature]), int(graph.positions[feature])
        edges[:, graph.n_features + layer * graph.n_positions + position] += edges[:, feature]
    stays = kept[: graph.n_sources]
    rows = kept[graph.rows]
    by_hand = replace(
        graph,
        features=graph.features[stays[: graph.n_features]],
        activations=graph.activations[stays[: graph.n_features]],
        edges=edges[rows][:, stays],
        **{
            name: getattr(graph, name)[rows]
            for name in ("preactivations", "biases", "unselected", "unselected_absolute")
        },
    )
    part, alike = score_graph(replace(graph, edges=graph.edges.abs()), kept=kept), score_graph(by_hand)
    assert part.replacement == pytest.approx(alike.replacement, abs=1e-6)
    assert part.completeness == pytest.approx(alike.completeness, abs=1e-6)
    assert part.completeness < score_graph(graph).completeness


def test_unselected_features_lower_the_scores_as_an_error_of_their_size_would() -> None:
    graph = random_graph(seed=4)
    extra = torch.rand(len(graph.rows)) * 3
    extra[graph.layers[graph.rows] == 0] = 0  # an error of layer 0 can lead to higher layers alone
    lower = replace(graph, unselected_absolute=extra)
    column = graph.n_features  # the error of layer 0, position 0
    edges = graph.edges.abs()
    edges[:, column] += extra
    by_hand = score_graph(replace(graph, edges=edges))
    result = score_graph(replace(lower, edges=graph.edges.abs()), unselected=True)
    assert result.replacement == pytest.approx(by_hand.replacement, abs=1e-6)
    assert result.completeness == pytest.approx(by_hand.completeness, abs=1e-6)
    assert score_graph(lower) == score_graph(graph)


def test_a_pruned_graph_still_sums_to_the_pre_activations() -> None:
    graph = random_graph(seed=2, layers=4, positions=4, features=40)
    graph = replace(graph, preactivations=graph.edges.sum(1) + graph.unselected + graph.biases)
    pruned = prune_graph(graph, 0.6, 0.8)
    small = pruned.graph(graph)
    assert 0 < small.n_features < graph.n_features
    torch.testing.assert_close(
        small.edges.sum(1) + small.unselected + small.biases, small.preactivations, atol=1e-4, rtol=1e-4
    )
    assert int((small.edges != 0).sum()) == int(pruned.edge_mask.sum())
    names = [graph.id(i) for i in pruned.nodes if i < graph.n_features]
    assert [small.id(i) for i in range(small.n_features)] == names


def test_everything_stays_at_a_share_of_one_but_what_leads_nowhere() -> None:
    graph = random_graph()
    edges = graph.edges.clone()
    edges[:, 5] = 0  # leads nowhere
    graph = replace(graph, edges=edges)
    pruned = prune_graph(graph, 1.0, 1.0)
    used = (compute_influence(graph) > 0)[: graph.n_features] & graph.edges[: graph.n_features].any(1)
    assert torch.equal(pruned.node_mask[: graph.n_features], used)
    assert not used[5]
