"""What users get wrong in extraction, sweep and steering: one clear line, and nothing is lost."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import persona_kit
import pytest
import torch
from pydantic import ValidationError

from mindscope.errors import DataError, MindscopeError, StoreError
from mindscope.judges import JudgeItem, Judgement, Rubric
from mindscope.models import Generation, Model, load
from mindscope.personas.config import ExtractConfig, SteerConfig, SweepConfig
from mindscope.personas.extraction import extract_vectors
from mindscope.personas.steering.results import SweepResult
from mindscope.personas.steering.steer import measure_steering
from mindscope.personas.steering.sweep import sweep_coefficients
from mindscope.personas.vectors import PersonaVectors
from mindscope.store import Run

CONFIG = ExtractConfig(samples=2, max_new_tokens=6, least_pairs=2, resamples=5)
JUDGE = persona_kit.InstructionJudge()
TRAIT = persona_kit.tiny_trait(n_questions=3)


@pytest.fixture
def vectors(tiny: Model, run: Run) -> PersonaVectors:
    return extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG)


def test_another_filter_takes_the_same_answers(
    tiny: Model, run: Run, vectors: PersonaVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*args: object, **kwargs: object) -> None:
        raise AssertionError("generated a second time")

    monkeypatch.setattr(Model, "generate_unordered", again)
    with pytest.raises(DataError, match="only 0 of 12"):
        extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG.model_copy(update={"threshold": 95.0}))
    assert extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG).digest() == vectors.digest()


class FlatJudge:
    """Finds the trait nowhere."""

    name = "flat"

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return JUDGE.judge(rubric, [JudgeItem(item.question, item.answer) for item in items])


def test_too_few_pairs(tiny: Model, run: Run) -> None:
    with pytest.raises(DataError, match=r"only 0 of 12 pairs .*12 with a positive answer too weak"):
        extract_vectors(tiny, TRAIT, FlatJudge(), run, CONFIG)
    assert run.load_json("extract/loud/filter.json")["positive_weak"] == 12


def test_empty_answers_are_left_out(tiny: Model, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Model.generate_unordered
    asked: list[str] = []

    def sometimes_silent(self: Model, rows, *args, **kwargs) -> Iterator[tuple[int, Generation]]:
        for row, generation in whole(self, rows, *args, **kwargs):
            if row % 8:
                yield row, generation
                continue
            reads = {
                name: values * float("nan") if name.startswith("answer_mean") else values
                for name, values in generation.reads.items()
            }
            yield row, Generation(rows[row], "", "stop", reads)

    class Watching(persona_kit.InstructionJudge):
        def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
            asked.extend(item.answer for item in items)
            return super().judge(rubric, items)

    monkeypatch.setattr(Model, "generate_unordered", sometimes_silent)
    vectors = extract_vectors(tiny, TRAIT, Watching(), run, CONFIG.model_copy(update={"shard_rows": 8}))
    assert vectors.filter is not None
    assert (vectors.filter.empty, vectors.filter.kept) == (3, 9)
    assert vectors.answer_mean.isfinite().all()
    assert all(answer.strip() for answer in asked)


def test_a_run_made_from_something_else(tiny: Model, run: Run, vectors: PersonaVectors) -> None:
    with pytest.raises(StoreError, match=r"another config \(seed: 0 there, 1 now\)"):
        extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG.model_copy(update={"seed": 1}))
    with pytest.raises(StoreError, match=r"another trait \(evaluation"):
        extract_vectors(tiny, persona_kit.tiny_trait(n_questions=2), JUDGE, run, CONFIG)


def test_another_judge_scores_the_answers_that_are_there(
    tiny: Model, run: Run, vectors: PersonaVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("answers were written again")

    monkeypatch.setattr(Model, "generate_unordered", refuse)
    with pytest.raises(DataError, match="usable"):  # it finds no trait in any answer
        extract_vectors(tiny, TRAIT, FlatJudge(), run, CONFIG)
    again = extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG)
    assert torch.equal(again.answer_mean, vectors.answer_mean)


def test_a_run_of_before_with_its_one_judge_goes_on(
    tiny: Model, run: Run, vectors: PersonaVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores lay in the folder itself, and the setup named who gave them."""
    folder = run.path / "extract" / "loud"
    setup = json.loads((folder / "setup.json").read_text())
    (folder / "setup.json").write_text(json.dumps({**setup, "judge": JUDGE.name}))
    (own,) = (folder / "scores").iterdir()
    for piece in own.iterdir():
        piece.rename(folder / "scores" / piece.name)
    own.rmdir()

    def refuse(*args: object) -> list[Judgement]:
        raise AssertionError("answers were scored again")

    monkeypatch.setattr(type(JUDGE), "judge", refuse)
    again = extract_vectors(tiny, TRAIT, JUDGE, run, CONFIG)
    assert torch.equal(again.answer_mean, vectors.answer_mean)


def test_another_models_vectors(tiny: Model, run: Run, vectors: PersonaVectors, tmp_path: Path) -> None:
    other = load(str(persona_kit.tiny_chat_model(tmp_path / "other", seed=7)), dtype="float32")
    for use in (
        lambda: sweep_coefficients(other, vectors, TRAIT, JUDGE, run, SweepConfig(max_new_tokens=4)),
        lambda: measure_steering(
            other, vectors, TRAIT, JUDGE, run, SteerConfig(layer=1, coefficient=1, max_new_tokens=4)
        ),
    ):
        with pytest.raises(DataError, match="another model"):
            use()


def test_a_layer_that_is_not_there(tiny: Model, run: Run, vectors: PersonaVectors) -> None:
    with pytest.raises(DataError, match="there is no layer 3"):
        measure_steering(tiny, vectors, TRAIT, JUDGE, run, SteerConfig(layer=3, coefficient=1))
    with pytest.raises(ValidationError, match="layer"):
        SteerConfig(layer=-1, coefficient=1)


def test_a_prompt_longer_than_the_context(tiny: Model, run: Run) -> None:
    long = TRAIT.model_copy(update={"extraction": ("x" * 600,)})
    with pytest.raises(MindscopeError, match="shorten"):
        extract_vectors(tiny, long, JUDGE, run, CONFIG)


def test_a_document_that_is_another(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    with pytest.raises(StoreError):
        SweepResult.load(path)
    path.write_text("{not json")
    with pytest.raises(StoreError):
        SweepResult.load(path)
    path.write_text('{"schema": "mindscope.steering/1"}')
    with pytest.raises(DataError, match="is not a"):
        SweepResult.load(path)
    path.write_text('{"schema": "mindscope.sweep/1", "trait": 3}')
    with pytest.raises(DataError, match="damaged at 'trait'"):
        SweepResult.load(path)
