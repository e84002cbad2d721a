"""Sweep and steering on a model whose answer to a push is known: towards one letter's logit."""

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.errors import StoreError
from mindscope.features import random_directions
from mindscope.judges import JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.models import Model
from mindscope.personas.config import SteerConfig, SweepConfig
from mindscope.personas.report import persona_report
from mindscope.personas.steering.arms import random_arms, steering_edits
from mindscope.personas.steering.results import SteeringResult, SweepResult
from mindscope.personas.steering.steer import measure_steering, measure_trait
from mindscope.personas.steering.sweep import held_out, sweep_coefficients
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run, derived_seed

TRAIT = persona_kit.tiny_trait(n_questions=6)
SWEEP = SweepConfig(
    samples=2, max_new_tokens=8, questions=4, coefficients=(0.01, 1.0), shard_rows=16, seed=5, n_random=2
)


class LetterJudge:
    """The share of the letter "a" in an answer; long runs of it are less coherent."""

    name = "letter"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [self.one(item.answer) for item in items]

    def one(self, answer: str) -> Judgement:
        longest = max(map(len, re.findall("a+", answer)), default=0)
        return Judgement(
            JudgeScore.of(100 * answer.count("a") / len(answer)), JudgeScore.of(float(90 - longest))
        )


@pytest.fixture(scope="module")
def vectors(tiny: Model) -> PersonaVectors:
    """At the last block the push raises the logit of "a"; before it, directions that mean nothing."""
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(3, 32, generator=generator) / 32**0.5
    letter = tiny.tokenizer.convert_tokens_to_ids("a")
    towards = tiny.hf.lm_head.weight[letter].detach().float()
    matrix[2] = 200 * towards / towards.norm()
    return PersonaVectors(
        trait="loud", fingerprint=tiny.fingerprint, matrices={"answer_mean": matrix}, layers=(0, 1, 2)
    )


@pytest.fixture(scope="module")
def swept(
    tiny: Model, vectors: PersonaVectors, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SweepResult, list[tuple[int, int, str]]]:
    folder, heard = tmp_path_factory.mktemp("sweep"), []
    with Run.open(folder, kind="test", config={}) as run:
        result = sweep_coefficients(
            tiny, vectors, TRAIT, LetterJudge(), run, SWEEP, progress=lambda *news: heard.append(news)
        )
    return folder, result, heard


@pytest.fixture(scope="module")
def steered(tiny: Model, vectors: PersonaVectors, tmp_path_factory: pytest.TempPathFactory) -> SteeringResult:
    config = SteerConfig(layer=2, coefficient=1, samples=3, max_new_tokens=8, n_random=3, seed=1)
    with Run.open(tmp_path_factory.mktemp("steer"), kind="test", config={}) as run:
        return measure_steering(
            tiny, vectors, TRAIT, LetterJudge(), run, config, questions=TRAIT.evaluation[4:]
        )


def test_the_sweep_finds_the_layer_that_works(swept: tuple[Path, SweepResult, list]) -> None:
    _, result, _ = swept
    assert len(result.points) == 6
    point = result.choice()
    assert (point.layer, point.coefficient) == (2, 1.0)
    assert point.scores.trait is not None
    assert point.scores.trait.mean > 80
    assert point.random is not None
    assert point.random.trait is not None
    assert point.random.trait.mean < 20
    assert [each.random for each in result.points].count(None) == 5


def test_the_sweep_asks_only_its_questions(swept: tuple[Path, SweepResult, list]) -> None:
    _, result, _ = swept
    assert result.questions == TRAIT.evaluation[:4]
    assert held_out(TRAIT, result) == TRAIT.evaluation[4:]


def test_all_points_share_batches(
    tiny: Model, vectors: PersonaVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    whole = Model.generate_unordered

    def watching(self: Model, rows, *args, **kwargs):
        sizes.append(len(rows))
        return whole(self, rows, *args, **kwargs)

    monkeypatch.setattr(Model, "generate_unordered", watching)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP)
    # 7 arms x 4 questions x 2 samples, then one control of 2 random vectors.
    assert sizes == [7 * 4 * 2, 2 * 4 * 2]


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


def test_progress_counts_up_to_its_total(swept: tuple[Path, SweepResult, list]) -> None:
    _, _, heard = swept
    labels = {label for _, _, label in heard}
    assert any(label.endswith("answers") for label in labels)
    for label in labels:
        counts = [(done, total) for done, total, name in heard if name == label]
        assert [done for done, _ in counts] == sorted({done for done, _ in counts})
        assert counts[-1][0] == counts[-1][1]


def test_a_sweep_goes_on_where_it_was_killed(
    tiny: Model, vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], tmp_path: Path
) -> None:
    _, result, _ = swept

    class Tired(LetterJudge):
        left = 2

        def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().judge(rubric, items)

    with pytest.raises(KeyboardInterrupt), Run.open(tmp_path / "run", kind="test", config={}) as run:
        sweep_coefficients(tiny, vectors, TRAIT, Tired(), run, SWEEP)
    assert not (tmp_path / "run/sweep/loud/sweep.json").exists()
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == result


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


def with_scope(file: Path, schema: str | None) -> None:
    """Rewrites a file as version 1 wrote it: the positions `response` were called the scope "answer"."""
    document = json.loads(file.read_text())
    assert document["config"].pop("positions") == "response"
    document["config"]["scope"] = "answer"
    if schema is not None:
        document["schema"] = schema
    file.write_text(json.dumps(document))


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


def test_a_run_of_version_1_is_gone_on_with(
    tiny: Model,
    vectors: PersonaVectors,
    swept: tuple[Path, SweepResult, list],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(swept[0], folder)
    with_scope(folder / "sweep/loud/setup.json", None)
    with Run.open(folder, kind="test", config={}) as run:
        monkeypatch.setattr(Model, "generate_unordered", lambda *_, **__: pytest.fail("answers are there"))
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == swept[1]
        other = SWEEP.model_copy(update={"positions": "all"})
        with pytest.raises(StoreError, match="choose another run folder"):
            sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, other)


def test_a_grid_grows_in_the_same_run(
    tiny: Model,
    vectors: PersonaVectors,
    swept: tuple[Path, SweepResult, list],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One more coefficient is answered by itself, and the result is that of a sweep which had it at once."""
    shutil.copytree(swept[0], tmp_path / "run")
    answered: list[int] = []
    whole = Model.generate_unordered

    def watching(self: Model, rows, *args, **kwargs):
        answered.append(len(rows))
        return whole(self, rows, *args, **kwargs)

    more = SWEEP.model_copy(
        update={"coefficients": (0.01, 1.0, 0.5), "coherence_floor": 10.0, "layers": (0, 2)}
    )
    with Run.open(tmp_path / "once", kind="test", config={}) as run:
        at_once = sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more)
    monkeypatch.setattr(Model, "generate_unordered", watching)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        grown = sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more)
        assert grown == at_once
        # Two layers, four questions, two samples, of one coefficient; then random vectors at the new choice.
        assert answered == [2 * 4 * 2, 2 * 4 * 2]
        monkeypatch.setattr(Model, "generate_unordered", lambda *_, **__: pytest.fail("answers are there"))
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, SWEEP) == swept[1]
        assert sweep_coefficients(tiny, vectors, TRAIT, LetterJudge(), run, more) == grown


def test_a_grid_that_could_not_grow_grows(
    tiny: Model, vectors: PersonaVectors, swept: tuple[Path, SweepResult, list], tmp_path: Path
) -> None:
    """A run of the version before: its setup names judge and grid, and its scores lie beside the answers."""
    folder = tmp_path / "run"
    shutil.copytree(swept[0], folder)
    place = folder / "sweep/loud"
    (place / "grid.json").unlink()
    setup = json.loads((place / "setup.json").read_text())
    config = setup["config"] | {
        "layers": None,
        "coefficients": [0.01, 1.0],
        "coherence_floor": 60.0,
        "tie": 5.0,
    }
    (place / "setup.json").write_text(json.dumps(setup | {"judge": "letter", "config": config}))
    for scores in [*place.glob("*/scores"), *place.glob("random/*/scores")]:
        (inside,) = scores.iterdir()
        for file in inside.iterdir():
            file.rename(scores / file.name)
        inside.rmdir()
    judge = LetterJudge()
    judge.judge = lambda *_: pytest.fail("scores are there")  # type: ignore[method-assign]
    with Run.open(folder, kind="test", config={}) as run:
        assert sweep_coefficients(tiny, vectors, TRAIT, judge, run, SWEEP) == swept[1]


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


def test_random_vectors_at_one_place_differ(vectors: PersonaVectors) -> None:
    edits = [vectors.direction(2).edit(1.0), vectors.direction(2).edit(2.0)]
    (arm,) = random_arms(edits, 1, seed=0)
    assert [edit.value for edit in arm.edits] == [1.0, 2.0]
    assert not torch.allclose(arm.edits[0].vector, arm.edits[1].vector)


def test_random_vectors_have_the_norm_and_fixed_seeds(vectors: PersonaVectors) -> None:
    direction = vectors.direction(2)
    arms = random_arms([direction.edit(1.5, "all")], 4, seed=0)
    drawn = torch.stack([arm.edits[0].vector for arm in arms])
    assert torch.allclose(drawn.norm(dim=1), direction.vector.norm().expand(4), rtol=1e-5)
    assert {(edit.address, edit.value, edit.where) for arm in arms for edit in arm.edits} == {
        ("resid_post.2", 1.5, "all")
    }
    cosines = torch.nn.functional.cosine_similarity(drawn, direction.vector[None])
    assert cosines.abs().max() < 0.6
    again = random_arms([direction.edit(1.5, "all")], 4, seed=0)
    assert all(torch.equal(a.edits[0].vector, b.edits[0].vector) for a, b in zip(arms, again, strict=True))
    assert len({tuple(vector.tolist()) for vector in drawn}) == 4


@pytest.mark.parametrize(
    ("positions", "touched"),
    [
        ("response", [4, 5, 6]),
        ("answer", [5, 6]),
        ("last_prompt", [4]),
        ("prompt", [0, 1, 2, 3, 4]),
        ("all", None),
    ],
)
def test_positions_are_those_that_are_steered(
    tiny: Model, vectors: PersonaVectors, positions, touched
) -> None:
    row = tiny.text("hello", "ab")
    assert row.prompt_length == 5
    read = {"h": persona_kit.everything("resid_post.2")}
    edits = steering_edits(vectors.direction(2), 2.0, positions)
    plain, edited = tiny.read([row], read)["h"].values[0], tiny.read([row], read, edits=edits)["h"].values[0]
    change = edited - plain
    expected = torch.zeros(7, 32)
    expected[list(range(7)) if touched is None else touched] = 2 * vectors.answer_mean[2]
    assert torch.allclose(change, expected, atol=1e-4)


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


def test_random_directions_have_the_norm_and_the_address(vectors):
    direction = vectors.direction(1)
    several = random_directions(direction, 3, seed=4)
    assert {random.address for random in several} == {direction.address}
    for random, same in zip(several, random_directions(direction, 3, seed=4), strict=True):
        torch.testing.assert_close(random.vector.norm(), direction.vector.norm())
        assert torch.equal(random.vector, same.vector)
    cosines = torch.stack([random.vector / random.vector.norm() for random in several])
    assert (cosines @ cosines.T - torch.eye(3)).abs().max() < 0.9
