"""Attention sinks: a dictionary and its scores are what they would be without, and count them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from dictionary_kit import ACTIVE, ATOMS, WIDTH, AtomSource
from tiny_models import FAMILIES, build
from torch import Tensor

from mindscope.dictionaries import (
    Coder,
    Dictionary,
    DictionaryEvaluation,
    EvaluateConfig,
    LeftOut,
    TrainConfig,
    evaluate,
    read_left_out,
    train,
)
from mindscope.dictionaries.training.sources import Position
from mindscope.features import OutlierLimits, Site
from mindscope.models import Model, Raw, Read, Row
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


@pytest.fixture(scope="module")
def without_sinks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dictionary]:
    """By its method, what is learnt where there are none."""

    @cache
    def train_clean(method: str) -> Dictionary:
        return trained(tmp_path_factory.mktemp("clean"), SinkSource(sinks=False), method)

    return train_clean


@pytest.mark.parametrize("method", ["batchtopk", "topk", "relu", "jumprelu"])
def test_sinks_change_nothing_for_ordinary_tokens(
    method: str, without_sinks: Callable[[str], Dictionary], tmp_path: Path
) -> None:
    clean = without_sinks(method)
    sinks = trained(tmp_path / "sinks", SinkSource(sinks=True), method)
    assert abs(explained(sinks) - explained(clean)) < 0.02
    left_out = read_left_out(sinks.metadata)
    assert left_out is not None
    assert left_out.outliers == pytest.approx(left_out.read / EVERY, rel=0.1)
    assert read_left_out(clean.metadata) == LeftOut(0, 38 * 8 * 512)  # whole buffers


def test_kept_sinks_are_what_is_learnt(without_sinks: Callable[[str], Dictionary], tmp_path: Path) -> None:
    """The fault that leaving them out mends: an excellent number is reported, ordinary tokens are lost."""
    kept = trained(tmp_path, SinkSource(sinks=True), "batchtopk", keep_outliers=True)
    assert explained(kept) < explained(without_sinks("batchtopk")) - 0.1
    assert read_left_out(kept.metadata) is None
    x = torch.empty(4096, 2 * WIDTH)
    SinkSource(sinks=True).fill(x, (0, 9000))
    x = x[:, :WIDTH]
    assert float(1 - (x - kept(x)).square().sum() / (x - x.mean(0)).square().sum()) > 0.95


def test_a_killed_run_leaves_out_the_same(tmp_path: Path) -> None:
    """Limits and counts are part of a checkpoint: in the middle of a buffer, and between two."""
    whole = trained(tmp_path / "whole", SinkSource(sinks=True), "topk", steps=44)
    for every in (16, 11):

        class KilledError(Exception):
            pass

        class Dying(SinkSource):
            fills = 0

            def fill(self, buffer: Tensor, position: Position) -> Position:
                self.fills += 1
                if self.fills > 8:
                    raise KilledError
                return super().fill(buffer, position)

        folder = tmp_path / str(every)
        with pytest.raises(KilledError):
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


@pytest.fixture(scope="module")
def sunk() -> Model:
    """A model with a sink: token 5."""
    model = build(FAMILIES[0])
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[5] *= 1000
    return model


def rows_with(token: int, n_rows: int = 30) -> list[Row]:
    """Rows of random tokens 6 to 29 with one sink at a random place."""
    draw = torch.Generator().manual_seed(2)
    rows = []
    for _ in range(n_rows):
        ids = torch.randint(6, 30, (20,), generator=draw)
        ids[int(torch.randint(0, 20, (1,), generator=draw))] = token
        rows.append(Row(tuple(ids.tolist()), 10))
    return rows


def test_evaluation_counts_outliers_and_measures_with_and_without(sunk: Model, tmp_path: Path) -> None:
    """A rank 4 projection: the sink, which is along it, is written well, ordinary tokens badly."""
    (vectors,) = sunk.read([Row(tuple(range(30)), 0)], {"x": Read("embeddings", Raw("all"))})["x"].values
    others = torch.linalg.qr(torch.cat([vectors[5:6], torch.randn(3, 32)]).T)[0].T[:4]
    rows, site = torch.cat([others, -others]), [Site("embeddings", 32)]
    sae = Dictionary.single(
        Coder(rows, torch.zeros(8), rows), torch.zeros(32), reads=site, writes=site, activation="relu"
    )
    texts = rows_with(5)
    with Run.open(tmp_path, kind="dictionary-evaluate", config={}) as run:
        (result,) = evaluate(sunk, {"a": sae}, texts, run, EvaluateConfig(shard_rows=8))
        (kept,) = evaluate(sunk, {"b": sae}, texts, run, EvaluateConfig(shard_rows=8, keep_outliers=True))
    ids = torch.tensor([i for row in texts for i in row.ids])
    x = vectors[ids].double()

    def formula(x: Tensor) -> float:
        written = x @ others.double().T @ others.double()
        return float(1 - (x - written).square().sum() / (x - x.mean(0)).square().sum())

    assert (result.tokens, result.outliers) == (570, 30)
    assert result.reconstruction.explained_variance == pytest.approx(formula(x[ids != 5]), rel=1e-5)
    assert result.with_outliers is not None
    assert result.with_outliers.explained_variance == pytest.approx(formula(x), rel=1e-5)
    assert formula(x) > 0.99 > 0.6 > formula(x[ids != 5])
    assert (kept.tokens, kept.outliers, kept.with_outliers) == (600, 0, None)
    assert kept.reconstruction == result.with_outliers
    assert result.row()["outliers"] == 30
    assert DictionaryEvaluation.load(tmp_path / "evaluate/a/evaluation.json") == result


def test_outliers_are_not_replaced(sunk: Model, tmp_path: Path) -> None:
    """A dictionary that is perfect but for the sink costs the model nothing; with the sink it does."""
    (vectors,) = sunk.read([Row(tuple(range(30)), 0)], {"x": Read("embeddings", Raw("all"))})["x"].values
    d = 32
    rotation = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(0)))[0]
    rows, site = torch.cat([rotation, -rotation]), [Site("embeddings", d)]
    # jumprelu has no upper bound, so the error comes from a latent that only the sink sets off
    spoil = vectors[5:6] / vectors[5].square().sum() * 2
    coder = Coder(
        torch.cat([rows, spoil]),
        torch.cat([torch.zeros(2 * d), -torch.ones(1)]),
        torch.cat([rows, -vectors[5:6]]),
    )
    sae = Dictionary.single(coder, torch.zeros(d), reads=site, writes=site, activation="relu")
    with Run.open(tmp_path, kind="dictionary-evaluate", config={}) as run:
        (result,) = evaluate(sunk, {"a": sae}, rows_with(5), run)
        (kept,) = evaluate(sunk, {"b": sae}, rows_with(5), run, EvaluateConfig(keep_outliers=True))
    assert result.recovered.kl_spliced == pytest.approx(0, abs=1e-6)
    assert kept.recovered.kl_spliced > 1e-4


def test_an_evaluation_of_the_first_schema_is_read(sunk: Model, tmp_path: Path) -> None:
    site = [Site("embeddings", 32)]
    rows = torch.eye(32)
    sae = Dictionary.single(
        Coder(rows, torch.zeros(32), rows), torch.zeros(32), reads=site, writes=site, activation="relu"
    )
    with Run.open(tmp_path, kind="dictionary-evaluate", config={}) as run:
        (result,) = evaluate(sunk, {"a": sae}, rows_with(6, 4), run)
    file = tmp_path / "evaluate/a/evaluation.json"
    document = json.loads(file.read_text())
    for name in ("outliers", "with_outliers"):
        del document[name]
    file.write_text(json.dumps(document | {"schema": "mindscope.dictionary_evaluation"}))
    assert DictionaryEvaluation.load(file) == result
