"""`mindscope doctor`."""

import json

import torch

from mindscope.jobs import doctor


def test_json(cli):
    report = json.loads(cli("doctor", "--json").out)
    assert report["libraries"]["torch"] == torch.__version__
    assert report["cpu"]["cores"] >= 1
    assert report["cpu"]["bf16_speedup"] > 0
    assert 0 < report["memory"]["available_gib"] <= report["memory"]["total_gib"]
    assert len(report["gpus"]) == torch.cuda.device_count()
    assert report["extras"].keys() == doctor.EXTRAS.keys()
    assert report["fits"]["bfloat16_billions"] >= report["fits"]["float32_billions"] > 0


def test_what_is_missing_is_said(cli, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "_find_organism", lambda: doctor.OrganismFiles(present=False, bytes=0))
    result = cli("doctor")
    assert result.code == 0
    assert "no weights" in result.out
    assert "pip install 'mindscope[judge]' is for judges and writers" in result.err
    assert doctor.USES.keys() == doctor.EXTRAS.keys()
    assert "mindscope organism train" in result.err
