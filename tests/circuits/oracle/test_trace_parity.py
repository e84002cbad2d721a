"""Graphs of two published cases: the same features, edges, errors and selection as circuit-tracer's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mindscope.circuits import DictionaryReplacement, TraceConfig, targets, trace
from mindscope.dictionaries.formats import read_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.models import Model, Row, load

Case = tuple[Model, DictionaryReplacement, Row, Path]
LOGITS = targets.top_logits(most=6, probability=0.8)
PEER_INTERVAL = 32
"""Its batch of 16, ranked again every 2 batches."""


@pytest.fixture(scope="module", params=["llama_plt", "gemma2_clt"])
def case(request: pytest.FixtureRequest, parity: Path) -> Case:
    folder = parity / request.param
    model = load(str(folder / "model"), dtype="float32")
    dictionary = read_dictionary(folder / "transcoders", options=ReadOptions(model=model, lazy=True))
    ids = tuple(np.load(folder / "expected_full.npz")["input_tokens"].tolist())
    return model, DictionaryReplacement(dictionary), Row(ids, len(ids)), folder


def test_every_feature(case: Case):
    model, replacement, row, folder = case
    expected = dict(np.load(folder / "expected_full.npz"))
    graph = trace(model, replacement, row, targets=LOGITS)
    assert graph.features.tolist() == expected["active_features"].tolist()
    np.testing.assert_allclose(graph.activations, expected["activation_values"], atol=1e-5)
    assert [target.token for target in graph.targets] == expected["logit_token_ids"].tolist()
    np.testing.assert_allclose(graph.target_weights, expected["logit_probabilities"], atol=1e-6)
    np.testing.assert_allclose(graph.adjacency(), expected["adjacency"], atol=1e-5)
    frozen = replacement.freeze(model, row)
    np.testing.assert_allclose(frozen.errors, expected["error_vectors"], atol=1e-5)
    np.testing.assert_allclose(frozen.embeddings, expected["token_vectors"], atol=1e-6)


def test_its_selection(case: Case):
    model, replacement, row, folder = case
    expected = dict(np.load(folder / "expected_top.npz"))
    result = expected["active_features"][expected["selected_features"]]
    config = TraceConfig(max_features=len(result), rank_every=PEER_INTERVAL)
    graph = trace(model, replacement, row, config, targets=LOGITS)
    assert graph.features.tolist() == result.tolist()
    np.testing.assert_allclose(graph.adjacency(), expected["adjacency"], atol=1e-5)
    whole = trace(model, replacement, row, targets=LOGITS)
    kept = [whole.features.tolist().index(feature) for feature in graph.features.tolist()]
    out = torch.ones(whole.n_features, dtype=torch.bool)
    out[kept] = False
    rows = [*kept, *range(whole.n_features, len(whole.edges))]
    left_out = whole.edges[rows][:, : whole.n_features][:, out]
    torch.testing.assert_close(graph.unselected, left_out.sum(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(graph.unselected_absolute, left_out.abs().sum(1), atol=1e-5, rtol=0)
