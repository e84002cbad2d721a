"""Thresholds against the normal distribution, whose tails are known."""

from pathlib import Path

import pytest
import torch
from scipy import stats

from mindscope.errors import DataError, StoreError
from mindscope.features import Direction, FeatureSet
from mindscope.models import Row
from mindscope.monitoring import Calibration, ProjectedTurn, Signal, TurnProjections, calibrate
from mindscope.monitoring.alarms import AlarmState, alarm_events
from mindscope.monitoring.calibration import needed
from mindscope.monitoring.drift import measure_drift
from mindscope.monitoring.signal import signal_score, signal_values


def feature(name: str = "evil", seed: int = 0) -> Direction:
    vector = torch.randn(4, generator=torch.Generator().manual_seed(seed))
    return Direction(name, "resid_post.1", vector, "abc")


def normal(n: int, columns: int, rate: float, over="each", seed: int = 0) -> Calibration:
    scores = torch.randn(n, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Calibration(tuple(map(str, range(columns))), "d", "abc", Signal(), rate, over, scores)


def trace_of(*answers: list[float], before: float = 0.0) -> TurnProjections:
    turns = [
        ProjectedTurn(
            Row((0,) * (1 + len(each)), 1), torch.tensor([before]), torch.tensor(each).reshape(-1, 1)
        )
        for each in answers
    ]
    return TurnProjections(("evil@resid_post.1",), tuple(turns))


@pytest.mark.parametrize(("n", "rate"), [(99, 0.01), (400, 0.02), (500, 0.05)])
def test_the_rate_holds_and_its_interval_covers(n: int, rate: float) -> None:
    """3000 calibrations on normal scores: the true rate of each threshold is 1 - Phi(threshold)."""
    made = normal(n, 3000, rate)
    true = 1 - stats.norm.cdf(made.thresholds.numpy())
    rank = -(-(n + 1) * (1 - rate) // 1)
    assert true.mean() == pytest.approx((n + 1 - rank) / (n + 1), rel=0.06)
    assert true.mean() <= rate * 1.06
    low, high = made.interval
    assert ((low < true) & (true < high)).mean() == pytest.approx(0.95, abs=0.02)
    assert (made.recovery < made.thresholds).all()


def test_too_few_are_refused_with_the_number_that_is_needed() -> None:
    assert [needed(rate) for rate in (0.01, 0.05, 0.5, 0.003)] == [99, 19, 1, 333]
    with pytest.raises(DataError, match=r"98 ordinary conversations are too few .* at least 99"):
        normal(98, 1, 0.01)
    assert normal(99, 1, 0.01).thresholds == normal(99, 1, 0.01).scores.max()
    with pytest.raises(DataError, match=r"at least 299"):
        normal(200, 3, 0.01, "any")
    with pytest.raises(DataError, match="above 0 and below 1"):
        normal(99, 1, 0.0)
    with pytest.raises(DataError, match="0 ordinary conversations"):
        calibrate([feature()], [], 0.1)


def test_all_features_together_share_the_rate() -> None:
    made, held_out = normal(1000, 4, 0.05, "any"), normal(20000, 4, 0.05, seed=1).scores
    assert made.share == 0.0125
    rate = (held_out > made.thresholds).any(1).double().mean()
    assert 0.03 < rate < 0.065
    assert 0.03 < made.any_rate <= 0.05
    assert made.at(0.2, "each").share == 0.2


def test_a_signal_is_a_trailing_mean_over_the_answer() -> None:
    signal = Signal(window=2)
    trace = trace_of([1.0, 3.0, 8.0], [4.0], [], before=9.0)
    values = [[(token, value.item()) for token, value in signal_values(signal, turn)] for turn in trace.turns]
    assert values == [[(1, 2.0), (2, 5.5)], [(0, 4.0)], []]
    assert signal_score(signal, trace).tolist() == [5.5]
    assert signal_values(Signal("last_prompt"), trace.turns[2]) == [(None, torch.tensor([9.0]))]
    assert signal_score(signal, trace_of([])) is None


def test_calibrating_from_traces_skips_those_without_an_answer() -> None:
    traces = [trace_of([float(i)]) for i in range(19)] + [trace_of([])]
    made = calibrate([feature()], traces, 0.05, signal=Signal(window=1))
    assert len(made) == 19
    assert made.thresholds.tolist() == [18.0]
    assert made.recovery.tolist() == [9.0]
    assert [event.value for event in alarm_events(made, trace_of([17.0, 18.0, 18.5, 10.0, 19.0]))] == [18.5]
    assert made.summary().to_json()["features"]["evil@resid_post.1"] == {"threshold": 18.0, "recovery": 9.0}


def test_an_alarm_does_not_flicker() -> None:
    made = calibrate([feature()], [trace_of([float(i)]) for i in range(19)], 0.05, signal=Signal(window=1))
    alarms = AlarmState(made)
    taken = [
        alarms.take(0, (i, torch.tensor([v]))) for i, v in enumerate([19.0, 12.0, 20.0, 8.0, 18.0, 18.1])
    ]
    assert [[event.kind for event in found] for found in taken] == [
        ["crossed"], [], [], ["recovered"], [], ["crossed"],
    ]  # fmt: skip


def test_kept_with_the_model_and_the_vectors(tmp_path: Path) -> None:
    known = FeatureSet([feature()])
    made = calibrate(known, [trace_of([float(i)]) for i in range(40)], 0.05, signal=Signal(window=3))
    made.save(tmp_path / "c.safetensors")
    again = Calibration.load(tmp_path / "c.safetensors", known)
    assert again.summary() == made.summary()
    assert torch.equal(again.scores, made.scores)
    for other in (feature(seed=1), feature("kind")):
        with pytest.raises(DataError, match="calibrate again"):
            Calibration.load(tmp_path / "c.safetensors", [other])
    (tmp_path / "no.safetensors").write_bytes(b"version https://git-lfs")
    with pytest.raises(StoreError):
        Calibration.load(tmp_path / "no.safetensors")


def test_drift_is_a_least_squares_slope_with_its_interval() -> None:
    """Against the textbook's sums, and its coverage over many noisy conversations."""
    found = measure_drift([1.0, 2.5, None, 3.5, 6.0])
    assert found is not None
    assert found.turns == 4
    assert found.slope == pytest.approx(1.1)
    assert found.low < 1.1 < found.high
    assert measure_drift([1.0, None, 2.0]) is None
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(500):
        noise = torch.randn(6, generator=generator).tolist()
        each = measure_drift([0.5 * turn + value for turn, value in enumerate(noise)])
        assert each is not None
        covered += each.low < 0.5 < each.high
    assert covered / 500 == pytest.approx(0.95, abs=0.03)
