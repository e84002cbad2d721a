"""An evaluation that is killed between its pieces and started again ends with the same bytes."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from event_kit import killed_at

from mindscope import organism
from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.dictionaries.evaluation.config import EvaluateConfig
from mindscope.dictionaries.evaluation.evaluate import evaluate
from mindscope.models import Model, load
from mindscope.store import Run

PIECES = 9
"""Limits are measured, three are read, three spliced, then the densities and the result."""


@pytest.fixture(scope="module")
def model() -> Model:
    return load("organism", dtype="float32")


def job(model: Model, folder: Path) -> None:
    d, draw = model.d_model, torch.Generator().manual_seed(0)
    site = [Site("resid_post.1", d)]
    weights = [torch.randn(*shape, generator=draw) for shape in ((64, d), (64,), (64, d))]
    sae = Dictionary.single(Coder(*weights), torch.zeros(d), reads=site, writes=site, activation="topk", k=4)
    rows = list(islice(organism.corpus_rows(model, 0, 1), 9))
    with Run.open(folder, kind="dictionary-evaluate", config={"rows": 9}) as run:
        evaluate(model, {"it": sae}, rows, run, EvaluateConfig(shard_rows=4, predictions="response"))


EVENTS = ((Run, "save_json"), (Run, "save_tensors"))
"""Before every piece is written."""


def pieces(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in (folder / "evaluate").rglob("*.*")}


def test_killed_and_started_again(model: Model, tmp_path: Path):
    job(model, tmp_path / "whole")
    whole = pieces(tmp_path / "whole")
    assert len(whole) == PIECES
    for piece in (0, 2, 4, 7):
        assert killed_at(piece + 1, EVENTS, job, model, tmp_path / f"{piece}", seconds=300)
        assert len(pieces(tmp_path / f"{piece}")) == piece
        job(model, tmp_path / f"{piece}")
        assert pieces(tmp_path / f"{piece}") == whole
