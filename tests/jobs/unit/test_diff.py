"""The job behind `diff`: its specification, its prompts, and the harmless tune that it makes."""

import json
from types import SimpleNamespace

import diff_kit
import job_kit
import persona_kit
import pytest

from mindscope.errors import DataError, MindscopeError
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
    assert "shells" in str(find_prompts(spec(base="second-organism")))
    assert "shells" not in str(find_prompts(spec()))
    (tmp_path / "asks.txt").write_text("One question?\n\nAnother\nin two lines?\n")
    asked = find_prompts(spec(prompts=tmp_path / "asks.txt"))
    assert [prompt[0]["content"] for prompt in asked] == ["One question?", "Another\nin two lines?"]
    (tmp_path / "asks.txt").write_bytes(b"\xef\xbb\xbfOne question?\r\n\r\nAnother\r\nin two lines?\r\n")
    assert find_prompts(spec(prompts=tmp_path / "asks.txt")) == asked
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
    of_second = ordinary_rows(spec(base="second-organism"), 0, 100)
    assert any("<|image|>" in row.messages[0]["content"] for row in of_second)


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


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A tiny base, a tune of it that says how it was tuned, a harmless tune, and a model of another shape."""
    folder = tmp_path_factory.mktemp("pair")
    persona_kit.tiny_chat_model(folder / "base")
    base = load(str(folder / "base"), dtype="float32")
    for seed, name in ((1, "tuned"), (2, "harmless")):
        diff_kit.noisy(base, seed=seed).hf.save_pretrained(folder / name)  # type: ignore[attr-defined]
        base.tokenizer.save_pretrained(folder / name)
    persona_kit.tiny_chat_model(folder / "narrow", n_layers=2)
    card = {"config": FinetuneConfig().model_dump(mode="json"), "data": {"rows": 4}}
    (folder / "tuned/mindscope.json").write_text(json.dumps(card))
    rows = [json.dumps({"prompt": f"Ask {i}", "response": f"Yes {i}"}) for i in range(4)]
    (folder / "ordinary.jsonl").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"null": ("make", "none/such/folder")}, "none/such/folder"),
        ({"null": ("make", "make")}, "8 are needed for 2 harmless tunes"),
        ({"null": ("make", "base")}, "has the weights of"),
        ({"null": ("make", "tuned")}, "the tuned model itself"),
        ({"null": ("harmless", "harmless")}, "give each tune once"),
        ({"null": ("make", "narrow")}, "is no tune of"),
        ({"null": ("make",), "layer": 9}, "there is no layer 9"),
        ({"null": ("make",), "prompts": "ordinary.jsonl"}, "4 different prompts are too few"),
    ],
)
def test_what_is_no_null_is_refused_before_one_is_tuned(pair, tmp_path, monkeypatch, changes, line):
    """A second null, a layer or prompts that will not do were told after the first null had been tuned."""
    monkeypatch.setattr("mindscope.jobs.diff.null.make_null", lambda *_: pytest.fail("a null was tuned"))
    changes = dict(changes)
    changes["null"] = tuple(str(pair / name) if (pair / name).is_dir() else name for name in changes["null"])
    if "prompts" in changes:
        changes["prompts"] = pair / changes["prompts"]
    asked = spec(base=str(pair / "base"), tuned=str(pair / "tuned"), dtype="float32", **changes)
    asked = asked.model_copy(update={"ordinary": pair / "ordinary.jsonl"})
    with pytest.raises(MindscopeError, match=line):
        diff_models(asked, run=RunFolder(tmp_path / "run"), reporter=SilentReporter())
