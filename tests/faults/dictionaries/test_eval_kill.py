"""An evaluation that is killed at any piece and started again ends with the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from mindscope.store import Run
from faults_dictionaries_eval import work

pieces, kept = int(sys.argv[2]), 0
for name in ("save_json", "save_tensors"):
    def wrapped(self, *args, _save=getattr(Run, name)):
        global kept
        if kept == pieces:
            os.kill(os.getpid(), signal.SIGKILL)
        kept += 1
        return _save(self, *args)
    setattr(Run, name, wrapped)
work(sys.argv[1])
"""

WORK = """
from itertools import islice
import torch
torch.set_num_threads(1)
from mindscope import organism
from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.dictionaries.evaluation import EvaluateConfig, evaluate
from mindscope.models import load
from mindscope.store import Run

def work(folder):
    model = load("organism", dtype="float32")
    d, draw = model.d_model, torch.Generator().manual_seed(0)
    site = [Site("resid_post.1", d)]
    weights = [torch.randn(*shape, generator=draw) for shape in ((64, d), (64,), (64, d))]
    sae = Dictionary.single(Coder(*weights), torch.zeros(d), reads=site, writes=site, activation="topk", k=4)
    rows = list(islice(organism.corpus_rows(model, 0, 1), 9))
    with Run.open(folder, kind="dictionary-evaluate", config={"rows": 9}) as run:
        evaluate(model, {"it": sae}, rows, run, EvaluateConfig(shard_rows=4, predictions="response"))
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "faults_dictionaries_eval.py").write_text(WORK)
    (folder / "script.py").write_text(SCRIPT)
    return folder


def test_killed_and_started_again(scripts: Path, tmp_path: Path):
    def start(folder: Path, pieces: int) -> int:
        paths = os.pathsep.join([str(scripts), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, scripts / "script.py", folder, str(pieces)]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}).returncode

    assert start(tmp_path / "whole", 99) == 0
    assert start(tmp_path / "killed", 4) == -9  # three pieces are read, three spliced, two results
    assert start(tmp_path / "killed", 99) == 0
    whole = tmp_path / "whole"
    files = sorted(path.relative_to(whole) for path in (whole / "evaluate").rglob("*.*"))
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "killed" / file).read_bytes() == (whole / file).read_bytes()
