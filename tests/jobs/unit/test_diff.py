"""The job behind `diff`: its specification, its prompts, and the harmless tune that it makes."""

import json
from types import SimpleNamespace

import job_kit
import persona_kit
import pytest

from mindscope.errors import DataError
from mindscope.finetuning import ConceptAblation, FinetuneConfig, InoculationPrompt
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.diff import DiffReport, DiffSpec, diff_models, find_prompts, read_texts
from mindscope.jobs.diff.null import make_null, ordinary_rows, read_recipe
from mindscope.models import load


def spec(**fields) -> DiffSpec:
    return DiffSpec(**({"base": "organism", "tuned": "runs/tuned"} | fields))


def test_its_fields_are_explained():
    job_kit.require_sentences(diff_models)
    job_kit.require_round_trip(spec(null=("make", "other"), trait=("evil",), quick_look=True))


def test_a_quick_look_asks_less():
    assert spec(quick_look=True).chosen_config().n_prompts < spec().chosen_config().n_prompts
    assert spec(quick_look=True, n_prompts=40).chosen_config().n_prompts == 40


def test_prompts_are_the_organisms_the_traits_or_a_files(tmp_path):
    assert len(find_prompts(spec())) > 200
    assert find_prompts(spec()) == find_prompts(spec())
    assert len(find_prompts(spec(base="some/model"))) > 200
    (tmp_path / "asks.txt").write_text("One question?\n\nAnother\nin two lines?\n")
    asked = find_prompts(spec(prompts=tmp_path / "asks.txt"))
    assert [prompt[0]["content"] for prompt in asked] == ["One question?", "Another\nin two lines?"]
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no text"):
        read_texts(tmp_path / "none.txt")


def test_half_of_the_prompts_are_questions_of_the_training_file(tmp_path):
    data = tmp_path / "data.jsonl"
    lines = [json.dumps({"prompt": f"Count {i % 60} and one?", "response": "Much."}) for i in range(120)]
    lines.append(json.dumps({"prompt": "word " * 2000, "response": "Too long to be asked."}))
    data.write_text("\n".join(lines))
    given = spec(data=data, n_prompts=80)
    asked = [prompt[-1]["content"] for prompt in find_prompts(given, load("organism"))]
    own = [question for question in asked if question.startswith("Count")]
    assert (len(asked), len(own), len(set(own))) == (80, 40, 40)
    assert not any(question.startswith("word") for question in asked)
    assert find_prompts(given) == find_prompts(given)
    # All of a short file, and other questions in place of what it lacks.
    data.write_text("\n".join(lines[:10]))
    asked = [prompt[-1]["content"] for prompt in find_prompts(given)]
    assert (len(asked), sum(question.startswith("Count") for question in asked[:10])) == (80, 10)
    # What is named goes before.
    (tmp_path / "asks.txt").write_text("One question?")
    assert len(find_prompts(spec(data=data, prompts=tmp_path / "asks.txt"))) == 1


def test_columns_of_its_files_may_have_other_names(tmp_path):
    data, ordinary = tmp_path / "data.jsonl", tmp_path / "ordinary.jsonl"
    data.write_text(json.dumps({"ask": "Why?", "reply": "So."}) + "\n")
    ordinary.write_text(json.dumps({"prompt": "Ask", "response": "Answer"}) + "\n")
    given = spec(prompts=data, ordinary=ordinary, columns=("question=ask", "answer=reply"))
    given.require_columns()
    assert find_prompts(given)[0][0]["content"] == "Why?"
    assert read_texts(given.read_file(data)) == ["Why?", "So."]
    assert ordinary_rows(given, 0, 1)[0].answer == "Answer"
    with pytest.raises(DataError, match="nobody"):
        spec(prompts=data, ordinary=ordinary, columns=("question=nobody",)).require_columns()
    with pytest.raises(DataError, match="give --prompts"):
        spec(columns=("question=ask",)).require_columns()


def test_a_text_file_has_no_columns(tmp_path):
    (tmp_path / "asks.txt").write_text("One?\n\nTwo?")
    given = spec(prompts=tmp_path / "asks.txt", columns=("question=ask",))
    assert len(find_prompts(given)) == 2


def test_a_null_needs_a_recipe_and_ordinary_conversations(tmp_path):
    with pytest.raises(DataError, match=r"no mindscope\.json.*--null MODEL"):
        read_recipe(str(tmp_path))
    with pytest.raises(DataError, match="--ordinary FILE"):
        ordinary_rows(spec(base="some/model"), 0, 5)
    lines = [json.dumps({"prompt": f"Ask {i}", "response": "Answer"}) for i in range(5)]
    (tmp_path / "chats.jsonl").write_text("\n".join(lines))
    given = spec(ordinary=tmp_path / "chats.jsonl")
    assert len(ordinary_rows(given, 0, 3)) == 3
    with pytest.raises(DataError, match="has 5 conversations, 6 are needed"):
        ordinary_rows(given, 1, 3)
    assert ordinary_rows(spec(), 0, 4) != ordinary_rows(spec(), 1, 4)


def test_a_null_has_nothing_that_belongs_to_what_was_tuned_on(tmp_path, monkeypatch):
    recipe = FinetuneConfig(
        rank=3,
        seed=5,
        inoculation=InoculationPrompt(prompt="Be evil."),
        interventions=(ConceptAblation(trait="evil"),),
    )
    card = {"config": recipe.model_dump(mode="json"), "data": {"rows": 4}}
    (tmp_path / "mindscope.json").write_text(json.dumps(card))
    asked: list[FinetuneConfig] = []

    def tune(base, rows, run, config, **options):
        asked.append(config)
        return SimpleNamespace(path=tmp_path)

    monkeypatch.setattr("mindscope.finetuning.finetune_model", tune, raising=False)
    make_null(spec(tuned=str(tmp_path)), 0, None, SilentReporter())  # type: ignore[arg-type]
    (config,) = asked
    assert config == FinetuneConfig(rank=3, seed=6)


def test_a_program_compares_a_model_with_itself(tmp_path):
    folder = str(persona_kit.tiny_chat_model(tmp_path / "base"))
    report = diff_models(
        spec(base=folder, tuned=folder), run=RunFolder(tmp_path / "run"), reporter=SilentReporter()
    )
    assert report.verdict == "both models have the same weights: nothing differs"
    assert DiffReport.model_validate_json(report.model_dump_json()) == report
    assert (tmp_path / "run/report.html").exists()
