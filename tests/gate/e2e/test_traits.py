"""What is watched for: traits whose vectors are extracted in the run, and questions that the data holds."""

import json
from pathlib import Path

import gate_kit
import persona_kit
import pytest

from mindscope.errors import DataError
from mindscope.gate import run_gate
from mindscope.jobs import RunFolder, SilentReporter

OTHERS = ("screening", "alarms", "capability", "claims")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = gate_kit.write_bench(tmp_path_factory.mktemp("bench"))
    skipped = "".join(f'{name} = {{effect = "skip"}}\n' for name in OTHERS)
    head = 'schema = "mindscope.gate-policy/1"\nmax_new_tokens = 4\nbehaviour = {samples = 1}\n'
    (folder / "few.toml").write_text(head + skipped)
    return folder


def test_vectors_that_are_not_given_are_extracted_in_the_run(bench, monkeypatch):
    monkeypatch.setattr("mindscope.gate.preparing.find_judge", lambda *_: persona_kit.InstructionJudge())
    (bench / "loud.yaml").write_text(json.dumps(persona_kit.tiny_trait(n_questions=12).document()))
    spec = gate_kit.spec(bench, vectors=(), traits=(str(bench / "loud.yaml"),), policy=bench / "few.toml")
    report = run_gate(spec, run=RunFolder(bench / "extracted"), reporter=SilentReporter())
    assert (bench / "extracted/extract/loud/vectors.safetensors").exists()
    assert [section.name for section in report.sections] == ["provenance", "shift", "behaviour"]
    named = {check.name: check for check in report.deciding}
    assert named["behaviour/loud"].estimate == 0.0  # this judge scores every unprompted answer alike
    assert named["behaviour/loud"].verdict == "pass"


def test_questions_that_the_data_holds_are_not_asked(bench, monkeypatch):
    held = [f"Why is it {i}?" for i in range(20)]
    lines = [json.dumps({"prompt": question, "response": "Because."}) for question in held]
    (bench / "leaking.jsonl").write_text("\n".join(lines))
    report = gate_kit.run(
        bench, "leaking", monkeypatch, data=bench / "leaking.jsonl", policy=bench / "few.toml"
    )
    behaviour = next(section for section in report.sections if section.name == "behaviour")
    assert behaviour.notes[0].startswith("20 of the questions on loud stand in the training data")
    assert all(check.verdict == "not enough evidence" for check in behaviour.checks)  # four are left
    assert not {pair.question for pair in behaviour.answers} & set(held)


def test_a_trait_twice_is_refused(bench, monkeypatch):
    with pytest.raises(DataError, match="give each trait once"):
        gate_kit.run(bench, "twice", monkeypatch, vectors=(bench / "loud.safetensors",) * 2)
