"""Many answers watched at once in a running batch see, do and say what each does in `Monitor.generate`."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureSet
from mindscope.models import DecodingBatch, GenerationRequest, Model, Row, Sampling
from mindscope.monitoring import Calibration, LiveMonitor, Monitor, Policy, Signal

ROWS = [Row(tuple(range(2 + i, 5 + 2 * i)), 3 + i) for i in range(6)]


def calibrated(features: FeatureSet, model: Model, signal: Signal) -> Calibration:
    """Thresholds among the readings that the rows show, so that some cross and some recover."""
    seen = Monitor(features).generate(model, ROWS, Sampling(temperature=0, max_new_tokens=24))
    values = torch.cat([one.trace.turns[0].tokens for one in seen]).double()
    quantiles = torch.linspace(0.3, 0.7, 20, dtype=torch.float64)
    scores = torch.quantile(values, quantiles, dim=0)
    return Calibration(features.keys, features.digest(), features.fingerprint, signal, 0.05, "each", scores)


def live(model: Model, monitor: LiveMonitor, policies: list[Policy], *, slots: int):
    batch = DecodingBatch(model, slots=slots, eos_ids=model.eos_ids)
    handles = {}
    for i, (row, policy) in enumerate(zip(ROWS, policies, strict=True)):
        monitor.watch(i, policy)
        handles[i] = batch.admit(
            GenerationRequest(row, Sampling(temperature=0, max_new_tokens=24), index=i, controller=monitor)
        )
        batch.step()  # each joins one step after the one before
    answers = {}
    while batch.busy:
        for handle in batch.retire():
            index = handle.request.index
            answers[index] = (handle.result(), monitor.finish(index, handle.result(), model))
        batch.step()
    return [answers[i] for i in range(len(ROWS))]


@pytest.mark.parametrize("signal", [Signal(window=3), Signal("last_prompt")], ids=lambda s: s.at)
def test_each_is_watched_as_it_is_alone(llama: Model, features: FeatureSet, signal: Signal):
    calibration = calibrated(features, llama, signal)
    policies = [
        Policy("log"),
        Policy("steer", 0.7),
        Policy("stop"),
        Policy("warn"),
        Policy("steer", 0.2),
        Policy(),
    ]
    monitor = LiveMonitor(features, calibration)
    n_events = 0
    for i, (generation, answer) in enumerate(live(llama, monitor, policies, slots=6)):
        with pytest.warns() if policies[i].action == "warn" else nullcontext():
            (alone,) = Monitor(features, calibration, policies[i]).generate(
                llama, [ROWS[i]], Sampling(temperature=0, max_new_tokens=24)
            )
        assert alone.generation is not None
        assert generation.row.ids == alone.generation.row.ids
        assert generation.finish == alone.generation.finish
        tokens = np.array(answer.tokens).reshape(-1, len(features))
        assert np.allclose(tokens, alone.trace.turns[0].tokens, atol=1e-4)
        assert np.allclose(answer.before, alone.trace.turns[0].last_prompt, atol=1e-4)
        told = [(e.kind, e.feature, e.token) for e in answer.events]
        assert told == [(e.kind, e.feature, e.token) for e in alone.events]
        n_events += len(told)
    assert n_events > 4
    assert monitor.n_watched == 0


def test_an_answer_hears_of_its_own_features_alone(llama: Model, features: FeatureSet):
    calibration = calibrated(features, llama, Signal(window=1))
    monitor = LiveMonitor(features, calibration)
    batch = DecodingBatch(llama, slots=2, eos_ids=frozenset())
    heard = []
    for i, columns in enumerate([[1], [0, 2, 3]]):
        monitor.watch(i, Policy(), columns, on_event=lambda event, i=i: heard.append((i, event.feature)))
        batch.admit(GenerationRequest(ROWS[0], Sampling(temperature=0), index=i, controller=monitor))
    while batch.busy:
        batch.step()
        batch.retire()
    assert {feature for i, feature in heard if i == 0} == {features.keys[1]}
    assert {feature for i, feature in heard if i == 1} <= {features.keys[i] for i in (0, 2, 3)}
    assert {i for i, _ in heard} == {0, 1}


def test_a_policy_without_thresholds_is_refused(e0: Direction):
    with pytest.raises(DataError, match="needs thresholds"):
        LiveMonitor(FeatureSet([e0])).watch(0, Policy("stop"))


def test_readings_nobody_waits_for_are_taken_up_together(
    llama: Model, features: FeatureSet, monkeypatch: pytest.MonkeyPatch
):
    samplings = [Sampling(temperature=0, max_new_tokens=3 + 7 * i) for i in range(len(ROWS))]
    alone = [
        Monitor(features).generate(llama, [row], own)[0].trace.turns[0]
        for row, own in zip(ROWS, samplings, strict=True)
    ]
    monitor, looks = LiveMonitor(features), []
    step = monitor.step
    monkeypatch.setattr(monitor, "step", lambda seen: (looks.append(len(seen.tables)), step(seen))[1])
    monkeypatch.setattr(features, "read", lambda *_, **__: pytest.fail("an answer was read again"))
    batch = DecodingBatch(llama, slots=3, eos_ids=llama.eos_ids)
    for i, (row, own) in enumerate(zip(ROWS, samplings, strict=True)):
        monitor.watch(i, Policy(), live=False)
        batch.admit(GenerationRequest(row, own, index=i, controller=monitor))
    n_ended = 0
    while batch.busy:
        batch.step()
        for handle in batch.retire():
            n_ended += 1
            index = handle.request.index
            answer = monitor.finish(index, handle.result(), llama)
            tokens = np.array(answer.tokens).reshape(-1, len(features))
            assert np.allclose(tokens, alone[index].tokens, atol=1e-4)
            assert np.allclose(answer.before, alone[index].last_prompt, atol=1e-4)
    assert n_ended == len(ROWS)
    assert len(looks) < batch.n_steps / 2
    assert monitor.look_every > 1
    monitor.watch(9, Policy())  # one whose readings are streamed
    assert monitor.look_every == 1
