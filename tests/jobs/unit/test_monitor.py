"""The job behind `persona monitor`, called from Python."""

import json

import job_kit
import persona_kit
import pytest
import torch
from pydantic import ValidationError

from mindscope.jobs import RunFolder
from mindscope.jobs.monitor import MonitoringReport, MonitorVectorsSpec, monitor_vectors
from mindscope.models import load
from mindscope.personas import PersonaVectors


def test_its_fields_are_explained():
    job_kit.require_sentences(monitor_vectors)


def test_what_cannot_be_done_is_refused_before_a_model_is_loaded():
    known = {"data": "chats.jsonl", "model": "nowhere", "vectors": ("v",)}
    with pytest.raises(ValidationError, match="one of them sets the thresholds"):
        MonitorVectorsSpec(**known, calibrate="a", thresholds="b")
    with pytest.raises(ValidationError, match="add --answer"):
        MonitorVectorsSpec(**known, policy="stop")


def test_a_program_watches_a_file(tmp_path):
    model = load(str(persona_kit.tiny_chat_model(tmp_path / "model")), dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    PersonaVectors("loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2)).save(
        tmp_path / "vectors.safetensors"
    )
    talks = [{"prompt": f"ask {i}", "response": f"say {i}"} for i in range(12)]
    for name, rows in (("ordinary", talks), ("chats", [{"prompt": "a", "response": "XX!%%"}])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = MonitorVectorsSpec(
        model=str(tmp_path / "model"),
        dtype="float32",
        data=tmp_path / "chats.jsonl",
        vectors=(tmp_path / "vectors.safetensors",),
        calibrate=tmp_path / "ordinary.jsonl",
        false_alarms=0.1,
        policy="warn",
        window=2,
    )
    job_kit.require_round_trip(spec)
    reporter = job_kit.RecordingReporter()
    report = monitor_vectors(spec, run=RunFolder(tmp_path / "run"), reporter=reporter)
    assert report.conversations == 1
    assert [feature.feature for feature in report.features] == ["loud/answer_mean@resid_post.1"]
    assert MonitoringReport.model_validate_json(report.model_dump_json()) == report
    assert report.alarmed == bool(reporter.lines[2:])  # the first two say what the files hold
    assert "calibrating" in reporter.labels
