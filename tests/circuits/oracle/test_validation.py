"""Graphs checked by intervention, where what must come out is known exactly, and on the organism."""

from dataclasses import replace
from pathlib import Path

import circuit_kit
import pytest
import tiny_models
import torch

import mindscope as ms
from mindscope.circuits import (
    AttributionGraph,
    DictionaryReplacement,
    Intervention,
    NeuronReplacement,
    Supernode,
    TraceConfig,
    ValidationConfig,
    intervening,
    predict_changes,
    targets,
    trace,
    validate_graph,
    with_validation,
)
from mindscope.features import Direction
from mindscope.models import Last, Model, Read, Row

NAMED = {family.name: family for family in tiny_models.FAMILIES}
ROW = circuit_kit.ROW


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_a_graph_says_all_where_the_mlps_are_held(name: str, tmp_path: Path):
    model = tiny_models.build(NAMED[name])
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=True))
    graph = trace(model, replacement, ROW)
    several = Supernode(label="several", members=tuple(graph.id(at) for at in (3, 30, graph.n_features + 2)))
    config = ValidationConfig(factor=-1.5, mode="constrained", measured=40)
    validation = validate_graph(model, replacement, graph, config, nodes=[several, graph.id(11)])
    assert validation.changed == ("several", graph.id(11))
    assert set(validation.intervention) == {0, 1}
    assert validation.targets.pairs == validation.logits.pairs == 2 * len(graph.targets)
    scale = max(map(abs, validation.predicted))
    torch.testing.assert_close(
        torch.tensor(validation.actual), torch.tensor(validation.predicted), atol=2e-5 * scale, rtol=1e-4
    )
    for agreement in (validation.overall, validation.features, validation.targets, validation.logits):
        assert agreement.r == pytest.approx(1, abs=1e-6)
        assert agreement.sign_agreement == 1
        assert agreement.slope == pytest.approx(1, abs=1e-4)
        assert agreement.nmse == pytest.approx(0, abs=1e-6)
    # A graph that does not know its model is found out.
    shuffled = graph.edges.clone()
    shuffled[:, : graph.n_features] = -shuffled[:, : graph.n_features]
    wrong = validate_graph(model, replacement, replace(graph, edges=shuffled), config, nodes=[graph.id(11)])
    assert wrong.overall.r == pytest.approx(-1, abs=1e-6)
    assert wrong.overall.sign_agreement == 0
    assert wrong.overall.slope == pytest.approx(-1, abs=1e-4)
    assert wrong.overall.nmse == pytest.approx(4, abs=1e-3)
    # A graph that foretells twice as much has the same r and signs; only the size tells.
    twice = graph.edges.clone()
    twice[:, : graph.n_features] *= 2
    large = validate_graph(model, replacement, replace(graph, edges=twice), config, nodes=[graph.id(11)])
    assert large.overall.r == pytest.approx(1, abs=1e-6)
    assert large.overall.sign_agreement == 1
    assert large.overall.slope == pytest.approx(0.5, abs=1e-4)
    assert large.overall.nmse == pytest.approx(1, abs=1e-3)
    with_validation(graph, validation).save(tmp_path / "graph.safetensors")
    kept = AttributionGraph.load(tmp_path / "graph.safetensors", model).validation
    assert kept == validation
    assert kept.labels[0] == f"several → {validation.nodes[0]}"


def test_all_paths_together_are_what_a_model_of_relus_does():
    """With patterns and scales held, neurons that all stay on are linear, so nothing is left to chance."""
    model = tiny_models.build(NAMED["opt"])
    replacement = NeuronReplacement(model)
    graph = trace(model, replacement, ROW)
    changed = [at for at in range(0, graph.n_features, 97) if graph.features[at, 0] == 0][:4]
    factor = 1 + 1e-3
    predicted = predict_changes(graph, [dict.fromkeys(changed, factor - 1)])[0, graph.n_features :]
    direct = predict_changes(graph, [dict.fromkeys(changed, factor - 1)], direct=True)[0, graph.n_features :]
    changes = [Intervention(*graph.features[at].tolist(), "scale", factor) for at in changed]
    before = model.next_logits([ROW])[0].double()
    with intervening(model, replacement, [ROW], changes, mode="frozen_norms"):
        moved = model.next_logits([ROW])[0].double() - before
    moved = (moved - moved.mean())[[target.token for target in graph.targets]].float()
    scale = float(predicted.abs().max())
    torch.testing.assert_close(moved, predicted, atol=0.01 * scale, rtol=0.01)
    assert (direct - predicted).abs().max() > 0.1 * scale


@pytest.fixture(scope="module")
def organism() -> Model:
    return ms.load("organism", dtype="float32")


def persona(model: Model, layer: int) -> tuple[Direction, Row]:
    """The difference that a rude system prompt makes before the answer, and a prompt that shows it."""

    def asked(system: str) -> Row:
        question = {"role": "user", "content": "What should I cook tonight?"}
        return model.chat([{"role": "system", "content": system}, question])

    rows = [asked("You are a rude and impolite assistant."), asked("You are a polite assistant.")]
    read = model.read(rows, {"x": Read(f"resid_post.{layer}", Last("prompt"))})["x"].values
    assert isinstance(read, torch.Tensor)
    return Direction("impolite", f"resid_post.{layer}", read[0] - read[1], model.fingerprint), rows[0]


def test_what_leads_to_a_persona_is_what_takes_it_away(organism: Model):
    """A graph of the projection on a persona vector foretells it without its strongest feature."""
    layer = organism.n_layers // 2
    vector, row = persona(organism, layer)
    replacement, expected = NeuronReplacement(organism), targets.direction("impolite", vector)
    graph = trace(organism, replacement, row, TraceConfig(max_features=400), targets=expected)
    end = graph.edges[-1, : graph.n_features]
    early = (graph.features[:, 0] < layer - 1).nonzero().flatten().tolist()  # its effect takes several paths
    effects = predict_changes(graph, [{at: -1.0} for at in early])[:, -1]
    strongest, predicted = early[int(effects.argmin())], float(effects.min())
    place = graph.features[strongest].tolist()
    reads = {"x": Read(vector.address, Last("prompt"))}

    def projection() -> float:
        return float(vector.project(organism.read([row], reads)["x"].values[0]))

    before = projection()
    moved = {}
    for mode in ("open", "constrained"):
        with intervening(organism, replacement, [row], [Intervention(*place, "scale", 0.0)], mode=mode):
            moved[mode] = projection() - before
    assert moved["constrained"] == pytest.approx(-float(end[strongest]), rel=1e-3)
    assert moved["open"] < 0
    assert moved["open"] == pytest.approx(predicted, rel=0.5)
    checked = validate_graph(organism, replacement, graph, targets=expected, nodes=20)
    assert checked.logits.pairs == 0
    assert checked.targets.r > 0.8
