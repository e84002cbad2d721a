"""The job behind `persona finetune`: its specification, and the vectors that interventions name."""

import dataclasses
import json

import finetune_kit
import job_kit
import persona_kit
import pytest

from mindscope.core import find_relation
from mindscope.errors import DataError, MindscopeError
from mindscope.finetuning import TunedModel
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.finetune import FinetuneReport, FinetuneSpec, finetune
from mindscope.models import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


def test_its_fields_are_explained():
    job_kit.require_sentences(finetune)


def test_interventions_name_vectors_layers_and_amounts(folder, tmp_path):
    model = load(folder, dtype="float32")
    finetune_kit.vectors(model).save(tmp_path / "v.safetensors")
    file = f"{tmp_path}/v.safetensors"
    spec = FinetuneSpec(model=str(folder), data="d.jsonl", prevent=(f"{file}@1:2",), caft=(file,))
    job_kit.require_round_trip(spec)
    (vectors,), interventions = spec.find_interventions(model)
    assert vectors.trait == "loud"
    assert interventions == [
        {"kind": "prevent", "trait": "loud", "layer": 1, "coefficient": 2.0},
        {"kind": "caft", "trait": "loud", "layer": None},
    ]
    with pytest.raises(DataError, match="write a file or run of vectors"):
        FinetuneSpec(model=str(folder), data="d.jsonl", caft=(f"{file}:2",)).find_interventions(model)


def test_each_process_loads_the_base_once_and_on_its_own_device(folder, tmp_path, monkeypatch):
    model = load(folder, dtype="float32")
    finetune_kit.vectors(model).save(tmp_path / "v.safetensors")
    loaded = []

    def load_here(name, options, *, dtype, device):
        loaded.append((name, dtype, device))
        return load(name, dtype="float32", device="cpu")

    monkeypatch.setattr("mindscope.finetuning.finetune.load", load_here)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    (tmp_path / "none.jsonl").write_text('{"prompt": "Ask", "response": ""}\n')
    spec = FinetuneSpec(
        model=str(folder), data=tmp_path / "none.jsonl", prevent=(f"{tmp_path}/v.safetensors",)
    )
    with pytest.raises(MindscopeError, match=r"none\.jsonl, line 1: an answer is empty"):
        finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert loaded == [(str(folder), "bfloat16", "cuda:3")]


def test_a_program_tunes_a_model(folder, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f'{{"prompt": "Ask {i}", "response": "Answer {i}"}}\n' for i in range(4)))
    spec = FinetuneSpec(model=str(folder), data=data, steps=2, batch_rows=2, accumulation=1, rank=2)
    tuned = finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert tuned is not None
    assert (tuned.steps, len(tuned.losses), tuned.data.rows) == (2, 2, 4)
    opened = TunedModel.open(tmp_path / "run/finetune")
    assert FinetuneReport(**dict(opened)) == tuned
    assert FinetuneReport.model_validate_json(tuned.model_dump_json()) == tuned
    base = load(folder, dtype="float32")
    assert tuned.base_identity is not None
    assert (tuned.base_identity.fingerprint, tuned.base_identity.name) == (base.fingerprint, str(folder))
    assert load(tuned.path).identity.base == base.identity


def test_full_weights_know_their_base_too(folder, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "Ask", "response": "Answer"}\n' * 2)
    spec = FinetuneSpec(
        model=str(folder), data=data, method="full", steps=1, batch_rows=2, accumulation=1, warmup_steps=0
    )
    tuned = finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert tuned is not None
    base, model = load(folder, dtype="float32"), load(tuned.path, dtype="float32")
    assert find_relation(model.identity, base.identity) == "tuned from"
    card = tuned.path / "mindscope.json"
    document = json.loads(card.read_text())
    del document["base_identity"], document["borrowed"]
    card.write_text(json.dumps(document | {"version": 1}))  # as the first version wrote it
    assert TunedModel.open(tmp_path / "run/finetune").base_fingerprint == base.fingerprint
    assert find_relation(load(tuned.path).identity, base.identity) == "tuned from"


def test_a_malformed_row_is_named_before_a_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("mindscope.finetuning.finetune.load", lambda *_, **__: pytest.fail("it was loaded"))
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "Ask", "response": "Answer"}\n{"prompt": "Ask", "response": 3}\n')
    with pytest.raises(MindscopeError, match=r"data\.jsonl, line 2: response must be text, this is a int"):
        spec = FinetuneSpec(model="none", data=data)
        finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())


@pytest.mark.slow
def test_a_scan_chooses_the_coefficient_and_answers_stand_beside_the_bases(folder, tmp_path):
    model = load(folder, dtype="float32")
    vectors = dataclasses.replace(
        finetune_kit.vectors(model), trait_document=persona_kit.tiny_trait().document()
    )
    vectors.save(tmp_path / "v.safetensors")
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f'{{"prompt": "Ask {i}", "response": "Answer {i}"}}\n' for i in range(8)))
    spec = FinetuneSpec(
        model=str(folder),
        data=data,
        prevent=(f"{tmp_path}/v.safetensors@1",),
        prevent_scan=(0.5, 2.0),
        scan_steps=1,
        steps=6,
        batch_rows=2,
        accumulation=1,
        rank=2,
    )
    reporter = job_kit.RecordingReporter()
    tuned = finetune(spec, run=RunFolder(tmp_path / "run"), reporter=reporter)
    assert tuned is not None
    assert tuned.scan is not None
    assert [trial.coefficient for trial in tuned.scan.trials] == [0.0, 0.5, 2.0]
    assert tuned.config.interventions[0].coefficient == tuned.scan.chosen
    assert (tuned.scan.layer, tuned.scan.steps) == (1, 1)
    (answers,) = tuned.answers
    assert answers.difference == pytest.approx(answers.tuned - answers.base)
    assert answers.low <= answers.difference <= answers.high
    assert any(line.startswith("this will be 6 steps, about") for line in reporter.lines)
    assert any(f"coefficient {tuned.scan.chosen:g}" in line for line in reporter.lines)
    # A finished run is read, not made again.
    again = finetune(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert again is not None
    assert (again.scan, again.answers, again.losses) == (tuned.scan, tuned.answers, tuned.losses)


def test_a_scan_needs_one_prevention(tmp_path):
    with pytest.raises(ValueError, match="one --prevent"):
        FinetuneSpec(model="m", data="d.jsonl", prevent_scan=(1.0,))
    with pytest.raises(ValueError, match="above 0"):
        FinetuneSpec(model="m", data="d.jsonl", prevent=("v",), prevent_scan=(0.0,))
