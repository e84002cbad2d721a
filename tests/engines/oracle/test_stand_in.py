"""Methods run on whatever speaks the engine protocol: here a stand-in that has nothing else of a model."""

import copy
from typing import Any

import persona_kit
import pytest
import screening_kit
import torch

from mindscope.core import EngineCapabilities
from mindscope.engines import Engine
from mindscope.errors import ModelError
from mindscope.features import Direction
from mindscope.models import Model
from mindscope.monitoring import Monitor, MonitorConfig, Policy, Signal, calibrate_on, monitor_file
from mindscope.personas import ExtractConfig, SteerConfig, extract_vectors, measure_steering
from mindscope.screening import ScreenConfig, screen_dataset
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
        if name == "with_template":
            return self._with_template
        if name not in PROTOCOL:
            raise AttributeError(f"an engine has no {name}")
        return getattr(self._model, name)

    def _with_template(self, **changes: Any) -> "StandIn":
        view = copy.copy(self)
        view._model = self._model.with_template(**changes)
        return view


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


def screen(engine: Any, vectors: Any, data: Any, folder: Any):
    config = ScreenConfig(
        layers=1, max_new_tokens=6, shard_rows=4, batch_rows=2, window=8, top=3, resamples=100
    )
    with Run.open(folder, kind="screen", config={}) as run:
        return screen_dataset(engine, data, vectors, config, run)


def test_screening_is_the_same_on_an_engine_without_hf(tiny: Model, tmp_path) -> None:
    data = screening_kit.write(tmp_path / "data.jsonl", [*screening_kit.chats(9), *screening_kit.CHATS])
    vectors = screening_kit.vectors(tiny, "loud")
    ours = screen(tiny, vectors, data, tmp_path / "model")
    theirs = screen(StandIn(tiny), vectors, data, tmp_path / "stand-in")
    assert ours.to_json() == theirs.to_json()
    assert ours.samples == 12


def watch(engine: Any, feature: Direction, data: Any, folder: Any, action: Any = "log"):
    signal = Signal(window=2)
    recorded = MonitorConfig(shard_rows=4, max_new_tokens=6)
    answered = MonitorConfig(shard_rows=4, max_new_tokens=6, answer=True)
    with Run.open(folder, kind="monitor", config={}) as run:
        thresholds = calibrate_on(engine, [feature], data, run, 0.1, signal=signal, config=recorded)
        monitor = Monitor([feature], thresholds, Policy(action))
        read = monitor_file(engine, Monitor([feature], thresholds), data, run, recorded)
        return read.to_json(), monitor_file(engine, monitor, data, run, answered).to_json()


def test_monitoring_is_the_same_on_an_engine_without_hf(tiny: Model, tmp_path) -> None:
    data = screening_kit.write(tmp_path / "data.jsonl", screening_kit.chats(12))
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    feature = Direction("loud", "resid_post.1", vector, tiny.fingerprint)
    ours = watch(tiny, feature, data, tmp_path / "model", "steer")
    assert ours == watch(StandIn(tiny), feature, data, tmp_path / "stand-in", "steer")
    with pytest.raises(ModelError, match="needs a controller that looks on while answers are written, which"):
        watch(StandIn(tiny, "controllers"), feature, data, tmp_path / "lacking")


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
