"""Pieces that are measured once, with one bar for all."""

from pathlib import Path

import pytest

from mindscope.jobs import SilentReporter
from mindscope.store import Document, Run
from mindscope.studies.common import PieceBench, PieceProgress


class _Number(Document):
    value: int


class _Listener(SilentReporter):
    def __init__(self) -> None:
        self.done: list[int] = []

    def progress(self, done: int, total: int, label: str) -> None:
        assert (total, label) == (1000, "numbers")
        self.done.append(done)


def work(progress: PieceProgress) -> _Number:
    progress(1, 2)
    return _Number(value=7)


def test_pieces_share_a_bar_by_their_cost_and_are_measured_once(tmp_path: Path):
    def refuse(progress: PieceProgress) -> _Number:
        raise AssertionError("it is there already")

    costs = {"cheap": 1.0, "folder/dear": 3.0}
    first, again = _Listener(), _Listener()
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        bench = PieceBench(run, first, "numbers", costs)
        bench.measure("cheap", _Number, work)
        bench.measure("folder/dear", _Number, work)
        assert first.done == [125, 250, 625, 1000]
        assert {*bench.seconds()} == {*costs}
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        bench = PieceBench(run, again, "numbers", costs)
        assert bench.measure("cheap", _Number, refuse).value == 7
        assert {*bench.seconds()} == {*costs}  # what an earlier start took counts
    with Run.open(tmp_path / "run", kind="test", config={}) as run, pytest.raises(KeyError):
        PieceBench(run, again, "numbers", costs).measure("unknown", _Number, work)
