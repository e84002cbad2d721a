"""The job behind `persona shift`: its specification, and a call from Python."""

import job_kit
import persona_kit
import torch

from mindscope.jobs import RunFolder, SilentReporter
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
        resamples=100,
    )
    job_kit.require_round_trip(spec)
    report = shift(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert ShiftReport.model_validate_json(report.model_dump_json()) == report
    assert report.layer == 0  # layer 1 is not measured
    assert [movement.shift for movement in report.tuned[0].movements] == [0.0, 0.0]
