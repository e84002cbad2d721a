"""Steering on a model whose answer to a push is known: towards one letter's logit."""

import dataclasses
import json
import re
from pathlib import Path

import persona_kit
import pytest
from steering_kit import TRAIT, LetterJudge, with_scope

from mindscope.errors import StoreError
from mindscope.models import Model
from mindscope.personas.config import SteerConfig
from mindscope.personas.report import persona_report
from mindscope.personas.steering.results import SteeringResult, SweepResult
from mindscope.personas.steering.steer import measure_steering, measure_trait
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, derived_seed


def test_sharing_a_batch_changes_no_answer(
    tiny: Model, vectors: PersonaVectors, steered: SteeringResult, tmp_path: Path
) -> None:
    with Run.open(tmp_path / "alone", kind="test", config={}) as run:
        config = steered.config.model_copy(update={"coefficient": 1e-9, "n_random": 1, "shard_rows": 2})
        alone = measure_steering(
            tiny, vectors, TRAIT, LetterJudge(), run, config, questions=TRAIT.evaluation[4:]
        )
    texts = [sample.answer for sample in steered.unsteered.samples]
    assert [sample.answer for sample in alone.unsteered.samples] == texts
    # A push of nothing answers alike: all arms draw from the same seeds.
    assert [sample.answer for sample in alone.steered.samples] == texts


def test_results_save_and_load(
    swept: tuple[Path, SweepResult, list], steered: SteeringResult, tmp_path: Path
) -> None:
    folder, result, _ = swept
    assert SweepResult.load(folder / "sweep/loud/sweep.json") == result
    steered.save(tmp_path / "steering.json")
    assert SteeringResult.load(tmp_path / "steering.json") == steered


def test_steering_in_four_ways(steered: SteeringResult) -> None:
    summary = steered.summary()
    assert summary.steered > 80
    assert summary.unsteered < 20
    assert summary.against < 20
    assert summary.random < 20
    assert (summary.layer, summary.coefficient) == (2, 1.0)
    assert summary.coherence_steered < summary.coherence_unsteered
    assert len(steered.steered.samples) == 2 * 3
    assert len(steered.random.samples) == 2 * 3 * 3
    mine = [100 * sample.answer.count("a") / len(sample.answer) for sample in steered.steered.samples]
    assert summary.steered == pytest.approx(sum(mine) / len(mine), abs=0.01)


def test_results_show_themselves(
    vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], steered: SteeringResult
) -> None:
    assert "<td>2</td><td>1.00</td>" in swept[1]._repr_html_()
    assert f"<td>{steered.summary().steered:.2f}</td>" in steered._repr_html_()
    assert f"<td>{vectors.norms[1]:.2f}</td>" in vectors._repr_html_()
    hostile = dataclasses.replace(vectors, trait="<script>")
    assert "<script>" not in hostile._repr_html_()


def test_documents_of_schema_1_are_read(
    swept: tuple[Path, SweepResult, list], steered: SteeringResult, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    for result, schema in ((swept[1], "mindscope.sweep/1"), (steered, "mindscope.steering/1")):
        result.save(file)
        with_scope(file, schema)
        if schema == "mindscope.steering/1":
            file.write_text(
                json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "steered_by"})
            )
        assert type(result).load(file) == result


def test_another_judge_scores_the_answers_that_are_there(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SteerConfig(layer=2, coefficient=1.0, max_new_tokens=4, n_random=1)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        first = measure_steering(tiny, vectors, TRAIT, LetterJudge(), run, config)
        monkeypatch.setattr(Model, "generate_unordered", lambda *_, **__: pytest.fail("answers are there"))
        other = persona_kit.InstructionJudge()
        second = measure_steering(tiny, vectors, TRAIT, other, run, config)
    assert [one.answer for one in second.steered.samples] == [one.answer for one in first.steered.samples]
    assert {one.trait for one in second.steered.samples if one.answer.strip()} == {10.0}


def test_an_expression_steers_as_its_edits_do(tiny: Model, vectors: PersonaVectors, tmp_path: Path) -> None:
    config = SteerConfig(steer="0.5 loud@1 + loud@2 + ablate loud@0", max_new_tokens=6, n_random=2)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        result = measure_steering(tiny, vectors, TRAIT, LetterJudge(), run, config, questions=["Why?"])
    assert result.steered_by == config.steer
    row = tiny.chat([{"role": "user", "content": "Why?"}])
    ablated = dataclasses.replace(vectors.direction(0).edit(1.0, "response"), op="ablate")
    for sign, arm in ((1, result.steered), (-1, result.against)):
        edits = [
            vectors.direction(1).edit(0.5 * sign, "response"),
            vectors.direction(2).edit(1.0 * sign, "response"),
            ablated,
        ]
        seed = derived_seed(0, "question", 0, 0)
        expected = tiny.generate([row], config.sampling(), edits=edits, seeds=[seed])[0].text
        assert arm.samples[0].answer == expected
    assert result.steered.samples[0].answer != result.unsteered.samples[0].answer
    assert len(result.random.samples) == 2
    assert SteeringResult.load(tmp_path / "run/steer/loud/steering.json") == result


def test_what_adds_nothing_has_no_answers_against(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path
) -> None:
    config = SteerConfig(steer="ablate loud@2", max_new_tokens=2, n_random=1)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        result = measure_steering(tiny, vectors, TRAIT, LetterJudge(), run, config)
    assert (result.against.scores.answers, result.summary().against) == (0, None)
    assert "against" not in persona_report(vectors, None, result).html()


def test_the_report_shows_everything(
    vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], steered: SteeringResult
) -> None:
    page = persona_report(vectors, swept[1], steered).html()
    for text in (
        "Norm of the vector",
        "Trait score at every layer",
        "Coherence at every layer",
        "random vector",
        "First answers, drawn from the same seeds.",
    ):
        assert text in page
    assert TRAIT.evaluation[5] in page
    assert page.count("<svg") >= 5
    assert "http://" not in re.sub(r"http://www\.w3\.org\S*", "", page)


def test_another_coefficient_fits_in_the_same_run(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path
) -> None:
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        for coefficient in (1.0, 0.5):
            config = SteerConfig(layer=2, coefficient=coefficient, max_new_tokens=2, n_random=1)
            measure_steering(tiny, vectors, TRAIT, LetterJudge(), run, config)
            assert SteeringResult.load(run.path / "steer/loud/steering.json").config == config
        assert len(list((run.path / "steer/loud").glob("*/answers"))) == 2


def test_a_model_by_itself_answers_as_the_unsteered_arm_does(tiny, vectors, tmp_path):
    config = SteerConfig(layer=2, coefficient=1.0, samples=2, max_new_tokens=8, seed=5, n_random=1)
    with Run.open(tmp_path, kind="persona", config={}) as run:
        result = measure_steering(tiny, vectors, TRAIT, LetterJudge(), run, config)
        alone = measure_trait(tiny, TRAIT, LetterJudge(), run, "alone", config, result.questions)
        assert alone == result.unsteered
        assert alone != result.steered
        with pytest.raises(StoreError, match="another questions"):
            measure_trait(tiny, TRAIT, LetterJudge(), run, "alone", config, result.questions[:3])
