from dataclasses import replace

import pytest
import torch
from circuit_graphs import random_graph

from mindscope.circuits import AttributionGraph, compare_graphs, prune_graph, relate_graphs
from mindscope.errors import DataError


def longer(graph: AttributionGraph, at: int) -> AttributionGraph:
    """The same graph with a token put in at a position, which nothing has to do with."""
    features = graph.features.clone()
    features[:, 1] += features[:, 1] >= at
    wide = lambda block: torch.cat([block[..., :at], torch.zeros(*block.shape[:-1], 1), block[..., at:]], -1)  # noqa: E731
    n, errors = graph.n_features, graph.n_features + graph.n_errors
    blocks = graph.edges[:, n:errors].unflatten(1, (graph.n_layers, graph.n_positions))
    edges = torch.cat([graph.edges[:, :n], wide(blocks).flatten(1), wide(graph.edges[:, errors:])], 1)
    ids = (*graph.ids[:at], 99, *graph.ids[at:])
    tokens = (*graph.tokens[:at], "new", *graph.tokens[at:])
    return replace(graph, ids=ids, tokens=tokens, features=features, edges=edges)


def test_a_graph_shares_everything_with_itself_and_with_itself_one_token_longer() -> None:
    graph = random_graph(seed=3)
    for other in (graph, longer(graph, 2)):
        comparison = compare_graphs(graph, other)
        assert comparison.only_first == ()
        assert comparison.only_second == ()
        assert comparison.overlap == 1.0
        assert max(abs(node.change) for node in comparison.shared) < 1e-6
        assert all(edge.weights[0] == edge.weights[1] for edge in comparison.edges)
        assert len(comparison.edges) == int((graph.edges != 0).sum())
    by_end = compare_graphs(graph, longer(graph, 2), align="end")
    assert dict(by_end.positions) == {3: 4, 2: 3, 1: 2, 0: 1}
    assert by_end.only_first


def test_what_is_alone_and_what_changed_is_named() -> None:
    graph = random_graph(seed=3)
    features = graph.features.clone()
    features[4, 2] += 100  # another latent
    features = features[((features[:, 0] * 4 + features[:, 1]) * 200 + features[:, 2]).argsort()]
    edges = graph.edges.clone()
    edges[-2, 0] += 5.0
    other = replace(graph, edges=edges, activations=graph.activations * 2, features=features)
    comparison = compare_graphs(graph, other)
    gone = {graph.id(node) for node in comparison.only_first}
    new = {other.id(node) for node in comparison.only_second}
    assert gone == {f"{a}_{c}_{b}" for a, b, c in graph.features.tolist()} - {
        f"{a}_{c}_{b}" for a, b, c in features.tolist()
    }
    assert len(new) == len(gone) == 1
    assert (comparison.edges[0].source, comparison.edges[0].target) == (0, graph.n_sources)
    assert comparison.edges[0].weights[1] - comparison.edges[0].weights[0] == pytest.approx(5.0)
    assert comparison.shared[0].first == 0
    one = next(node for node in comparison.shared if node.first == 1)
    assert one.activations == pytest.approx((float(graph.activations[1]), 2 * float(graph.activations[1])))


def test_a_replaced_token_stands_at_the_same_place_but_is_another() -> None:
    graph = random_graph(seed=3)
    comparison = compare_graphs(graph, replace(graph, ids=(11, 55, 13, 14)))
    assert dict(comparison.positions) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert [graph.id(node) for node in comparison.only_first] == ["E_12_1"]


def test_pruned_graphs_compare_by_what_is_left() -> None:
    graph = random_graph(seed=3, layers=4, features=24)
    small = prune_graph(graph, 0.6, 0.8).graph(graph)
    comparison = compare_graphs(graph, small)
    assert comparison.only_second == ()
    assert len(comparison.shared) < graph.n_nodes
    assert len(comparison.edges) >= int((small.edges != 0).sum())


def test_graphs_of_other_models_or_dictionaries_are_refused() -> None:
    graph = random_graph()
    for name in ("fingerprint", "replacement_digest"):
        with pytest.raises(DataError, match=f"different {name}"):
            compare_graphs(graph, replace(graph, **{name: "another"}))


def of_model(graph: AttributionGraph, name: str, base: str | None = None) -> AttributionGraph:
    """The same graph as of another model, which says what it was tuned from."""
    identity = {"fingerprint": name, "base": None if base is None else {"fingerprint": base}}
    return replace(graph, fingerprint=name, metadata={"identity": identity})


def test_a_model_and_its_tunes_are_compared_and_strangers_are_not() -> None:
    base, tune, other = (
        of_model(random_graph(seed=3), *names) for names in (("base",), ("tune", "base"), ("other", "base"))
    )
    for pair in ((base, tune), (tune, base), (tune, other)):
        assert relate_graphs(*pair) == "tuned from"
        assert compare_graphs(*pair).overlap == 1.0
    for stranger in (of_model(base, "stranger"), replace(base, fingerprint="nobody", metadata={})):
        assert relate_graphs(base, stranger) is None
        with pytest.raises(DataError, match="different fingerprint"):
            compare_graphs(base, stranger)
    with pytest.raises(DataError, match="different replacement_digest"):
        compare_graphs(base, replace(tune, replacement_digest="another"))
