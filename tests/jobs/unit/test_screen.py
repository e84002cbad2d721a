"""The job behind `persona screen`: its specification, and a call from Python."""

import job_kit
import persona_kit
import pytest
import screening_kit
from pydantic import ValidationError

from mindscope.errors import DataError
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.screen import ScreeningReport, ScreenSpec, screen
from mindscope.models import load

KNOWN = {"model": "nowhere", "data": "data.jsonl", "vectors": ("v",)}


def test_its_fields_are_explained():
    job_kit.require_sentences(screen)


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        ((), {"evil": 3}),
        (("12",), 12),
        (("evil=5", "loud=7"), {"evil": 5, "loud": 7}),
    ],
)
def test_layers_are_those_asked_for_or_the_choice_of_a_sweep(layers, chosen):
    assert ScreenSpec(**KNOWN, layers=layers).choose_layers({"evil": 3}) == chosen
    assert ScreenSpec(**KNOWN).choose_layers({}) is None


def test_a_layer_is_a_number():
    with pytest.raises(ValidationError, match="write a layer such as 12"):
        ScreenSpec(**KNOWN, layers=("evil=deep",))


def test_a_copy_that_cannot_be_written_is_refused_before_a_model_is_loaded(tmp_path):
    run = RunFolder(tmp_path / "run")
    for options, said in (({"drop_above": 90}, "--to FILE"), ({"to": "copy.jsonl"}, "what to leave out")):
        with pytest.raises(DataError, match=said):
            screen(ScreenSpec(**KNOWN, **options), run=run, reporter=SilentReporter())


def test_a_program_screens_a_file(tmp_path):
    persona_kit.tiny_chat_model(tmp_path / "model")
    model = load(str(tmp_path / "model"), dtype="float32")
    (vectors,) = screening_kit.vectors(model, "loud")
    vectors.save(tmp_path / "vectors.safetensors")
    screening_kit.write(tmp_path / "data.jsonl", screening_kit.chats(6))
    spec = ScreenSpec(
        model=str(tmp_path / "model"),
        dtype="float32",
        data=tmp_path / "data.jsonl",
        vectors=(tmp_path / "vectors.safetensors",),
        form="prompt",
        layers=("loud=1",),
        drop_above=50,
        to=tmp_path / "kept.jsonl",
    )
    job_kit.require_round_trip(spec)
    report = screen(spec, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
    assert ScreeningReport.model_validate_json(report.model_dump_json()) == report
    assert [(trait.trait, trait.layer) for trait in report.traits] == [("loud", 1)]
    assert report.filtered is not None
    assert report.filtered.rows == len((tmp_path / "kept.jsonl").read_text().splitlines()) < 6
    drawn = {"form": "exact", "to": None, "drop_above": None, "max_new_tokens": 3}
    for more, is_drawn in ((drawn, True), (drawn, False), ({**drawn, "seed": 1}, True)):
        reporter = job_kit.RecordingReporter()
        screen(spec.model_copy(update=more), run=RunFolder(tmp_path / "run"), reporter=reporter)
        assert any("this will be" in line for line in reporter.lines) is is_drawn
        assert any("all answers are there already" in line for line in reporter.lines) is not is_drawn
