"""The job behind `persona shift`: its specification, and a call from Python."""

import job_kit
import persona_kit
import pytest
import torch

from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs import shift as jobs_shift
from mindscope.jobs.shift import ShiftReport, ShiftSpec, shift
from mindscope.models import load
from mindscope.personas import PersonaVectors


def test_its_fields_are_explained():
    job_kit.require_sentences(shift)


def test_a_program_measures_a_shift(tmp_path):
    folder = persona_kit.tiny_chat_model(tmp_path / "base")
    model = load(str(folder), dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    document = persona_kit.tiny_trait().document()
    PersonaVectors(
        "loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2), trait_document=document
    ).save(tmp_path / "vectors.safetensors")
    spec = ShiftSpec(
        base=str(folder),
        tuned=(str(folder),),
        vectors=(tmp_path / "vectors.safetensors",),
        layers=(0, 2),
        layer=1,
        dtype="float32",
        max_new_tokens=5,
        resamples=100,
    )
    job_kit.require_round_trip(spec)
    report = shift(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert ShiftReport.model_validate_json(report.model_dump_json()) == report
    assert report.layer == 0  # layer 1 is not measured
    # Few answers can be afforded, so they are read though nobody asks.
    movements = report.tuned[0].movements
    assert [(move.at, move.shift) for move in movements] == [
        ("last_prompt", 0.0),
        ("last_prompt", 0.0),
        ("answer", 0.0),
        ("answer", 0.0),
    ]
    assert report.estimate is not None
    assert report.estimate.answers == 2 * report.prompts
    assert report.unread == ""
    other = str(persona_kit.tiny_chat_model(tmp_path / "other", seed=1))
    for tuned, said in (
        (spec.tuned, "all answers are there already"),
        ((*spec.tuned, other), f"; {2 * report.prompts} answers are there already"),
    ):
        reporter, more = job_kit.RecordingReporter(), spec.model_copy(update={"tuned": tuned})
        again = shift(more, run=RunFolder(tmp_path / "run"), reporter=reporter)
        assert (again.estimate is None) is (tuned == spec.tuned)
        assert any(said in line for line in reporter.lines), reporter.lines


@pytest.mark.slow
def test_what_is_not_read_is_said_and_read_later_in_the_same_run(tmp_path, monkeypatch):
    folder = persona_kit.tiny_chat_model(tmp_path / "base")
    model = load(str(folder), dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    document = persona_kit.tiny_trait().document()
    file = tmp_path / "vectors.safetensors"
    PersonaVectors(
        "loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2), trait_document=document
    ).save(file)
    spec = ShiftSpec(base=str(folder), tuned=(str(folder),), vectors=(file,), dtype="float32", resamples=100)
    spec = spec.model_copy(update={"max_new_tokens": 5})
    monkeypatch.setattr(jobs_shift, "AFFORDABLE", 0.0)
    reporter = job_kit.RecordingReporter()
    report = shift(spec, run=RunFolder(tmp_path / "run"), reporter=reporter)
    assert {move.at for move in report.tuned[0].movements} == {"last_prompt"}
    assert "only the last token of each prompt was read" in report.unread
    assert "--answers in the same run" in reporter.lines[-1]
    assert "only the last token of each prompt was read" in (tmp_path / "run/report.html").read_text()
    monkeypatch.setattr(jobs_shift, "AFFORDABLE", 300.0)  # a machine that is free now changes nothing
    again = shift(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert again.tuned == report.tuned
    # Other settings of answers were not claimed by a shift without any.
    asked = spec.model_copy(update={"answers": True, "max_new_tokens": 6})
    first = shift(asked, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert {move.at for move in first.tuned[0].movements} == {"last_prompt", "answer"}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("answer/*.safetensors")}
    more = shift(
        asked.model_copy(update={"samples": 2}), run=RunFolder(tmp_path / "run"), reporter=SilentReporter()
    )
    alone = shift(
        asked.model_copy(update={"samples": 2}), run=RunFolder(tmp_path / "alone"), reporter=SilentReporter()
    )
    assert more.tuned == alone.tuned
    assert kept
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
