"""Questions about heads that make no sense are answered in one line."""

from dataclasses import replace

import circuit_kit
import pytest
import tiny_models

from mindscope.circuits import (
    AttentionScore,
    AttributionGraph,
    DictionaryReplacement,
    NeuronReplacement,
    compute_head_loadings,
    compute_qk_attribution,
    targets,
    trace,
)
from mindscope.errors import DataError, ModelError
from mindscope.models import Model


@pytest.fixture(scope="module")
def mistral() -> Model:
    """With a window of five tokens."""
    return tiny_models.build_named("mistral")


@pytest.fixture(scope="module")
def graph(mistral: Model) -> AttributionGraph:
    return trace(mistral, NeuronReplacement(mistral), circuit_kit.ROW, targets=targets.top_logits(most=1))


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ((3, 0, 9, 7), ModelError, ("layer 3", "0 to 2")),
        ((-1, 0, 9, 7), ModelError, ("layer -1", "0 to 2")),
        ((1, 4, 9, 7), ModelError, ("head 4", "0 to 3")),
        ((1, -1, 9, 7), ModelError, ("head -1", "0 to 3")),
        ((1, 0, 10, 7), DataError, ("token 10", "0 to 9")),
        ((1, 0, 9, -11), DataError, ("token -11", "0 to 9")),
        ((1, 0, 5, 6), DataError, ("token 5", "token 6", "after")),
        ((1, 0, 9, 4), DataError, ("token 9", "token 4", "window")),
    ],
)
def test_no_such_score(mistral: Model, place: tuple[int, int, int, int], kind: type, words: tuple[str, ...]):
    before = tiny_models.hooks_on(mistral)
    with pytest.raises(kind) as error:
        compute_qk_attribution(mistral, NeuronReplacement(mistral), circuit_kit.ROW, AttentionScore(*place))
    circuit_kit.require_line(error, *words)
    assert tiny_models.hooks_on(mistral) == before
    assert mistral.hf.config._attn_implementation != "mindscope_observed"


def test_a_graph_of_another_model_or_replacement(mistral: Model, graph: AttributionGraph):
    other, same = tiny_models.build_named("llama"), NeuronReplacement(mistral)
    transcoders = DictionaryReplacement(circuit_kit.dictionary(mistral))
    for model, replacement, word in (
        (other, NeuronReplacement(other), "model"),
        (mistral, transcoders, "replac"),
    ):
        for ask in (
            lambda model=model, replacement=replacement: compute_head_loadings(model, replacement, graph, 3),
            lambda model=model, replacement=replacement: compute_qk_attribution(
                model, replacement, graph, AttentionScore(1, 0)
            ),
        ):
            with pytest.raises(DataError) as error:
                ask()
            circuit_kit.require_line(error, "another", word)
    with pytest.raises(DataError) as error:  # a public graph tells no fingerprint, but its edges do not fit
        compute_head_loadings(other, NeuronReplacement(other), replace(graph, fingerprint=""), 3)
    circuit_kit.require_line(error, "trace")
    with pytest.raises(DataError) as error:
        compute_head_loadings(mistral, same, replace(graph, edges=graph.edges * 1.1), 3)
    circuit_kit.require_line(error, "off")


def test_edges_that_are_not_there(mistral: Model, graph: AttributionGraph):
    replacement, target = NeuronReplacement(mistral), graph.id(graph.n_sources)
    top = graph.id(graph.n_features - 1)
    for edges, into, words in (
        ([(target, top)], None, ("no edge", target)),
        ([(top, "E_60_0")], None, ("no edge", "E_60_0")),
        ([("9_9_9", target)], None, ("9_9_9",)),
        (0, None, ("0 edges",)),
        (3, ["E_60_0"], ("nothing leads to E_60_0",)),
    ):
        with pytest.raises(DataError) as error:
            compute_head_loadings(mistral, replacement, graph, edges, into=into)
        circuit_kit.require_line(error, *words)
