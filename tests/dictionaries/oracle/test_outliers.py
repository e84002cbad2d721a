"""Attention sinks: a dictionary and its scores are what they would be without them, and say how many there were."""

from pathlib import Path
from typing import Any

import pytest
import torch
from dictionary_kit import ACTIVE, ATOMS, WIDTH, AtomSource
from torch import Tensor

from mindscope.dictionaries import Dictionary, LeftOut, TrainConfig, read_left_out, train
from mindscope.dictionaries.training.sources import Position
from mindscope.features import OutlierLimits, Site
from mindscope.store import Run

EVERY, NORM = 256, 1000.0


class SinkSource(AtomSource):
    """As `AtomSource`, with a vector of norm 1,000 at every 256th token, or at none."""

    def __init__(self, sinks: bool) -> None:
        super().__init__(scale=1.0)
        self.sinks = sinks

    def fill(self, buffer: Tensor, position: Position) -> Position:
        """Rows of 256 tokens of which the first is the sink, and is not filled in without sinks."""
        start, filled = position[1], 0
        while filled < len(buffer):
            row = self.tokens(EVERY - 1, 10 + start)[1]
            if self.sinks:
                sink = torch.full((1, 2 * WIDTH), NORM / WIDTH**0.5)
                row = torch.cat([sink, row])
            count = min(len(row), len(buffer) - filled)
            buffer[filled : filled + count] = row[:count]
            filled, start = filled + count, start + 1
        return position[0], start


def trained(folder: Path, source: AtomSource, method: str, **options: Any) -> Dictionary:
    config = TrainConfig.model_validate(
        {
            "dictionaries": [
                {"name": "a", "reads": ["here"], "n_latents": 2 * ATOMS, "k": ACTIVE, "method": method}
                | ({"learning_rate": 3e-3} if method != "jumprelu" else {})
            ],
            "steps": 300,
            "batch_tokens": 512,
            "buffer_batches": 8,
        }
        | options
    )
    with Run.open(folder, kind="test", config={}) as run:
        return train(source, run, config)["a"]


def explained(dictionary: Dictionary) -> float:
    """The explained variance of ordinary tokens, in float64."""
    x = AtomSource(scale=1.0).tokens(4096, seed=1)[1][:, :WIDTH].double()
    written = dictionary(x.float()).double()
    return float(1 - (x - written).square().sum() / (x - x.mean(0)).square().sum())


@pytest.mark.parametrize("method", ["batchtopk", "topk", "relu", "jumprelu"])
def test_sinks_change_nothing_for_ordinary_tokens(method: str, tmp_path: Path) -> None:
    clean = trained(tmp_path / "clean", SinkSource(sinks=False), method)
    sinks = trained(tmp_path / "sinks", SinkSource(sinks=True), method)
    assert abs(explained(sinks) - explained(clean)) < 0.02
    left_out = read_left_out(sinks.metadata)
    assert left_out is not None
    assert left_out.outliers == pytest.approx(left_out.read / EVERY, rel=0.1)
    assert read_left_out(clean.metadata) == LeftOut(0, 38 * 8 * 512)  # whole buffers


def test_kept_sinks_are_what_is_learnt(tmp_path: Path) -> None:
    """The fault that leaving them out mends: the run reports an excellent number, ordinary tokens are lost."""
    kept = trained(tmp_path, SinkSource(sinks=True), "batchtopk", keep_outliers=True)
    clean = trained(tmp_path / "clean", SinkSource(sinks=False), "batchtopk")
    assert explained(kept) < explained(clean) - 0.1
    assert read_left_out(kept.metadata) is None
    x = torch.empty(4096, 2 * WIDTH)
    SinkSource(sinks=True).fill(x, (0, 9000))
    x = x[:, :WIDTH]
    assert float(1 - (x - kept(x)).square().sum() / (x - x.mean(0)).square().sum()) > 0.95


def test_a_killed_run_leaves_out_the_same(tmp_path: Path) -> None:
    """Limits and counts are part of a checkpoint: in the middle of a buffer, and between two."""
    whole = trained(tmp_path / "whole", SinkSource(sinks=True), "topk", steps=44)
    for every in (16, 11):

        class Killed(Exception):
            pass

        class Dying(SinkSource):
            fills = 0

            def fill(self, buffer: Tensor, position: Position) -> Position:
                self.fills += 1
                if self.fills > 8:
                    raise Killed
                return super().fill(buffer, position)

        folder = tmp_path / str(every)
        with pytest.raises(Killed):
            trained(folder, Dying(sinks=True), "topk", steps=44, checkpoint_every=every)
        again = trained(folder, SinkSource(sinks=True), "topk", steps=44, checkpoint_every=every)
        assert torch.equal(again.coder.W_dec, whole.coder.W_dec)
        assert again.metadata["outliers"] == whole.metadata["outliers"]


def test_limits() -> None:
    """10 times the median, at any site; none where the median token is zero."""
    sites = [Site("a", 2), Site("b", 1), Site("c", 1)]
    x = torch.tensor([[3.0, 4, 1, 0], [0, 5, 1, 0], [0, 5, 1, 9], [51, 0, 1, 0], [0, 5, 11, 0]])
    limits = OutlierLimits.measured(x, sites)
    assert limits.norms == {"a": 50.0, "b": 10.0}
    assert limits.ordinary(x, sites).tolist() == [True, True, True, False, False]
