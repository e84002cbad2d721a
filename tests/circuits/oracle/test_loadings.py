"""What heads carry of edges is what the edges lose without them, by another way of computing."""

from dataclasses import replace

import circuit_kit
import pytest
import tiny_models
import torch

from mindscope.circuits import (
    DictionaryReplacement,
    LocalReplacementModel,
    NeuronReplacement,
    compute_head_loadings,
    prune_graph,
    targets,
    trace,
)
from mindscope.circuits.attribution.backward import backward_rows
from mindscope.circuits.attribution.retrace import inject_graph_rows, rebuild_local_model
from mindscope.circuits.replacement.injections import Injections

CASES = [("llama", True), ("gemma2", False), ("gpt2", False), ("gpt_neox", True), ("olmo2", True)]


def _edges(frozen: LocalReplacementModel, seeds: Injections) -> torch.Tensor:
    """Rows of a graph of all features, swept anew, in the graph's columns."""
    result = backward_rows(frozen, seeds)
    swept = torch.zeros(len(seeds), frozen.n_features)
    swept[:, : result.features.shape[1]] = result.features
    errors = torch.zeros(len(seeds), frozen.n_layers, frozen.n_positions)
    errors[:, :, : result.errors.shape[2]] = result.errors
    tokens = torch.zeros(len(seeds), frozen.n_positions)
    tokens[:, : result.tokens.shape[1]] = result.tokens
    together = torch.cat([swept[:, frozen.column_of], errors.flatten(1), tokens], dim=1)
    return together[result.order.argsort()]


def _without(frozen: LocalReplacementModel, layer: int, head: int | None) -> LocalReplacementModel:
    """The same prompt with a head of a layer, or all of them, taking nothing."""
    pattern = frozen.blocks[layer].pattern.clone()
    pattern.view(-1, *pattern.shape[2:])[slice(None) if head is None else head] = 0
    blocks = list(frozen.blocks)
    blocks[layer] = replace(blocks[layer], mixing=blocks[layer].mixing.with_whole(pattern))
    return replace(frozen, blocks=tuple(blocks))


@pytest.mark.parametrize(("name", "cross"), CASES, ids=[name for name, _ in CASES])
def test_a_loading_is_what_the_edge_loses_without_the_head(name: str, cross: bool):
    model = tiny_models.build_named(name)
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=cross, skip=True))
    graph = trace(model, replacement, circuit_kit.ROW, targets=targets.tokens(5))
    top = (graph.features[:, 0] == 2).nonzero().flatten()
    low = (graph.features[:, 0] == 1).nonzero().flatten()
    rows = torch.tensor([int(top[0]), int(low[-1]), graph.n_features])
    names = [graph.id(int(graph.rows[row])) for row in rows]
    loadings = compute_head_loadings(model, replacement, graph, into=names)
    frozen = rebuild_local_model(model, replacement, graph)
    seeds = inject_graph_rows(model, frozen, graph, rows, None)
    line = torch.tensor([names.index(target) for _, target in loadings.edges])
    source = torch.tensor([graph.find(source) for source, _ in loadings.edges])
    assert len(line) == int((graph.edges[rows] != 0).sum())
    whole = _edges(frozen, seeds)
    torch.testing.assert_close(loadings.weights, whole[line, source], atol=1e-5, rtol=1e-4)
    for layer in range(model.n_layers):
        for head in (0, 3):
            lost = whole - _edges(_without(frozen, layer, head), seeds)
            torch.testing.assert_close(
                loadings.loadings[:, layer, head], lost[line, source], atol=1e-5, rtol=1e-4
            )
        beside = _edges(_without(frozen, layer, None), seeds)
        torch.testing.assert_close(loadings.beside()[:, layer], beside[line, source], atol=1e-5, rtol=1e-4)
    assert float(loadings.loadings.abs().max()) > 0.01


def test_one_layer_of_attention_carries_all_of_an_edge_between_tokens():
    """From a feature of layer 0 to one of layer 1 at another token there is no other way."""
    model = tiny_models.build_named("llama")
    replacement = NeuronReplacement(model)
    graph = trace(model, replacement, circuit_kit.ROW)
    last = graph.n_positions - 1
    above = [i for i, (at, position, _) in enumerate(graph.features.tolist()) if (at, position) == (1, last)]
    loadings = compute_head_loadings(model, replacement, graph, into=[graph.id(i) for i in above[:3]])
    nodes = [(graph.node(graph.find(start)), graph.node(graph.find(end))) for start, end in loadings.edges]
    apart = [
        i
        for i, (node, other) in enumerate(nodes)
        if (node.kind, node.layer, other.kind, other.layer) == ("feature", 0, "feature", 1)
        and node.position != other.position
    ]
    assert len(apart) > 100
    carried = loadings.loadings[apart]
    torch.testing.assert_close(carried[:, 1].sum(1), loadings.weights[apart], atol=1e-6, rtol=1e-4)
    assert not carried[:, [0, 2]].any()


def test_blocks_of_little_memory_give_the_same(monkeypatch: pytest.MonkeyPatch):
    from mindscope.circuits.heads import meeting

    model = tiny_models.build_named("gpt_neox")
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=True, skip=True))
    graph = trace(model, replacement, circuit_kit.ROW)
    small = prune_graph(graph, 0.9).graph(graph)
    whole = compute_head_loadings(model, replacement, small)
    monkeypatch.setattr(meeting, "MEMORY", 2**15)
    parts = compute_head_loadings(model, replacement, small)
    assert parts.edges == whole.edges
    torch.testing.assert_close(parts.loadings, whole.loadings, atol=1e-6, rtol=1e-4)


def test_the_strongest_edges_come_first_and_lead_where_they_should():
    model = tiny_models.build_named("llama")
    replacement = NeuronReplacement(model)
    graph = trace(model, replacement, circuit_kit.ROW)
    loadings = compute_head_loadings(model, replacement, graph, 10)
    assert len(loadings.edges) == 10
    target = graph.id(graph.n_sources)
    own = compute_head_loadings(model, replacement, graph, 3, into=[target])
    row = graph.edges[graph.n_features].abs()
    assert [graph.find(source) for source, _ in own.edges] == row.argsort(descending=True)[:3].tolist()
    carried = next(i for i in range(len(loadings.edges)) if loadings.loadings[i].any())
    (first, *_), shown = loadings.strongest(carried), loadings.summarise(2)[carried]
    assert abs(first.value) == float(loadings.loadings[carried].abs().max())
    assert float(loadings.loadings[carried, first.layer, first.head]) == first.value
    assert shown.heads[0] == first
    assert len(shown.heads) <= 2
    assert (shown.source, shown.target) == loadings.edges[carried]
