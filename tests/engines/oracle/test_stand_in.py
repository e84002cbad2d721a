"""Methods run on whatever speaks the engine protocol: here a stand-in that has nothing else of a model."""

from typing import Any

import persona_kit
import pytest
import torch

from mindscope.core import EngineCapabilities
from mindscope.engines import Engine
from mindscope.errors import ModelError
from mindscope.models import Model
from mindscope.personas import ExtractConfig, SteerConfig, extract_vectors, measure_steering
from mindscope.store import Run

PROTOCOL = {name for name in {*vars(Engine), *Engine.__annotations__} if not name.startswith("_")}


class StandIn:
    """Hands on what the protocol names, and refuses the rest: no `hf`, no hooks, no forward pass."""

    def __init__(self, model: Model, *lacking: str, hook_points: frozenset[str] | None = None) -> None:
        self._model = model
        offers = EngineCapabilities("stand-in").offers - {*lacking}
        self._capabilities = EngineCapabilities("stand-in", offers, hook_points)

    def __getattr__(self, name: str) -> Any:
        if name == "capabilities":
            return self._capabilities
        if name not in PROTOCOL:
            raise AttributeError(f"an engine has no {name}")
        return getattr(self._model, name)


def extract(engine: Any, folder: Any):
    config = ExtractConfig(samples=2, max_new_tokens=6, least_pairs=2, shard_rows=8)
    with Run.open(folder, kind="persona", config={}) as run:
        return extract_vectors(engine, persona_kit.tiny_trait(), persona_kit.InstructionJudge(), run, config)


def steer(engine: Any, vectors: Any, folder: Any):
    config = SteerConfig(layer=1, coefficient=2.0, max_new_tokens=6, n_random=1, shard_rows=8)
    trait, judge = persona_kit.tiny_trait(), persona_kit.InstructionJudge()
    with Run.open(folder, kind="persona", config={}) as run:
        return measure_steering(engine, vectors, trait, judge, run, config, questions=["Why?", "How?"])


def test_a_model_is_an_engine(tiny: Model) -> None:
    assert isinstance(tiny, Engine)
    assert isinstance(StandIn(tiny), Engine)
    with pytest.raises(AttributeError, match="no hf"):
        _ = StandIn(tiny).hf


def test_vectors_and_steering_are_the_same_on_an_engine_without_hf(tiny: Model, tmp_path) -> None:
    ours, theirs = extract(tiny, tmp_path / "model"), extract(StandIn(tiny), tmp_path / "stand-in")
    for kind, matrix in ours.matrices.items():
        assert torch.equal(matrix, theirs.matrices[kind])
    assert ours.digest() == theirs.digest()
    steered, again = steer(tiny, ours, tmp_path / "a"), steer(StandIn(tiny), theirs, tmp_path / "b")
    assert steered.to_json() == again.to_json()


def test_an_engine_that_cannot_refuses_in_one_line_before_anything_is_written(tiny: Model, tmp_path) -> None:
    with pytest.raises(ModelError, match="extracting persona vectors needs activations, which the engine"):
        extract(StandIn(tiny, "reads"), tmp_path / "reads")
    points = frozenset({"attn_out"})
    with pytest.raises(ModelError, match="needs resid_post, which the engine 'stand-in' does not give"):
        extract(StandIn(tiny, hook_points=points), tmp_path / "points")
    vectors = extract(tiny, tmp_path / "vectors")
    with pytest.raises(ModelError, match="steering needs edits, which") as error:
        steer(StandIn(tiny, "edits"), vectors, tmp_path / "edits")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "edits").rglob("answers/*"))


def test_a_graph_needs_gradients(tiny: Model, monkeypatch) -> None:
    from mindscope.circuits import NeuronReplacement, trace

    lacking = EngineCapabilities("stand-in", frozenset({"reads", "edits"}))
    monkeypatch.setattr(Model, "capabilities", lacking)
    with pytest.raises(ModelError, match="an attribution graph needs gradients, attention patterns, which"):
        trace(tiny, NeuronReplacement(tiny), "Hello")
