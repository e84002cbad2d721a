"""The jobs of dictionaries and features, called from Python on a tiny random model."""

import json
from pathlib import Path
from typing import get_args

import job_kit
import persona_kit
import pytest

from mindscope.dictionaries import FORMATS, Dictionary, DictionaryBank, relative_decoder_norms
from mindscope.errors import DataError
from mindscope.explain import feature_logits
from mindscope.jobs import RunFolder
from mindscope.jobs.dictionary import EvaluateDictionariesSpec, TrainDictionariesSpec, evaluate, train
from mindscope.jobs.dictionary.converting import FormatName
from mindscope.jobs.dictionary.inputs import TwoModelsSpec, find_dictionaries
from mindscope.jobs.feature import (
    AlarmFeaturesSpec,
    LabelSpec,
    SearchSpec,
    ShowFeatureSpec,
    SurveySpec,
    label,
    search,
    show,
    survey,
)
from mindscope.models import Model, load, vocabulary

FAST = {"n_latents": 40, "k": 3, "steps": 6, "batch_tokens": 32, "buffer_batches": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=2))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"{i} apples and {i * i} pears."}) + "\n" for i in range(20)))
    return str(path)


@pytest.fixture(scope="module")
def folder(model: str, texts: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "run"
    spec = TrainDictionariesSpec(model=model, corpus=texts, layers=(1,), **FAST)
    report = train(spec, run=RunFolder(path), reporter=job_kit.RecordingReporter())
    assert report is not None
    (row,) = report.dictionaries
    assert (row.dictionary, row.l0) == ("resid_post.1", 3)
    return path


def test_the_plan_is_one_dictionary_per_layer_or_one_over_all(model: str):
    loaded = load(model)
    spec = TrainDictionariesSpec(model=model, corpus="texts", kind="clt", layers=(0, 1), learning_rate=1e-3)
    (clt,) = spec.plan(loaded)
    assert (clt["name"], clt["reads"], clt["writes"]) == (
        "clt", ("mlp_in.0", "mlp_in.1"), ("mlp_out.0", "mlp_out.1"),
    )  # fmt: skip
    assert (clt["n_latents"], clt["learning_rate"]) == (16 * loaded.d_model, 1e-3)
    saes = TrainDictionariesSpec(model=model, corpus="texts").plan(loaded)
    assert [sae["name"] for sae in saes] == ["resid_post.0", "resid_post.1"]


def test_more_active_latents_than_there_are_is_refused_before_a_model_is_loaded():
    with pytest.raises(DataError, match="9 of 4 latents cannot be active"):
        TrainDictionariesSpec(model="nowhere", corpus="texts", n_latents=4, k=9)


def test_a_crosscoder_between_two_models(model: str, texts: str, tmp_path: Path):
    """Trained and evaluated by name; the report says what only one of them has."""
    load(model)
    tuned = str(persona_kit.tiny_chat_model(tmp_path / "tuned", n_layers=2, seed=7))
    spec = TrainDictionariesSpec(
        model=model, second_model=tuned, corpus=texts, layers=(1,), kind="crosscoder", **FAST
    )
    report = train(spec, run=RunFolder(tmp_path / "run"), reporter=job_kit.RecordingReporter())
    assert report is not None
    (row,) = report.dictionaries
    assert row.reads == "resid_post.1 1:resid_post.1"
    crosscoder = Dictionary.load(tmp_path / "run/crosscoder.safetensors", [load(model), load(tuned)])
    shares = relative_decoder_norms(crosscoder, "1")
    assert row.only_first == int((shares <= 0.1).sum())
    assert row.only_second == int((shares >= 0.9).sum())
    measured = evaluate(
        EvaluateDictionariesSpec(
            model=model, second_model=tuned, corpus=texts, dictionaries=(str(tmp_path / "run"),), rows=4
        ),
        run=RunFolder(tmp_path / "evaluation"),
        reporter=job_kit.RecordingReporter(),
    )
    assert {"CE recovered in 0", "CE recovered in 1"} <= measured.table[0].keys()
    _require_features_of_both(model, tuned, tmp_path / "run/crosscoder.safetensors", texts)
    with pytest.raises(DataError, match="only a crosscoder reads two models"):
        TrainDictionariesSpec(model=model, second_model=tuned, corpus=texts)
    with pytest.raises(DataError, match="has the weights of the first model"):
        TwoModelsSpec(model=model, second_model=model).load_models()


def _require_features_of_both(model: str, tuned: str, crosscoder: Path, texts: str) -> None:
    """Surveyed, named, shown and found; logits are those of the model that a feature writes more to."""
    known = {"model": model, "second_model": tuned, "dictionary": str(crosscoder)}
    run, reporter = RunFolder(crosscoder.parent / "survey"), job_kit.RecordingReporter()
    counted = survey(SurveySpec(**known, corpus=texts, rows=10), run=run, reporter=reporter)
    assert counted.dead < counted.features
    name = label(LabelSpec(**known), run=run, reporter=reporter).root[0]
    models = [load(model), load(tuned)]
    texts_of = vocabulary(models[0].tokenizer, models[0].engine.vocab_size)
    bank = DictionaryBank(Dictionary.load(crosscoder, models))
    shares = relative_decoder_norms(bank.dictionary, "1")
    for feature, written in ((int(shares.argmin()), models[0]), (int(shares.argmax()), models[1])):
        shown = show(ShowFeatureSpec(**known, feature=feature), run=run, reporter=reporter)
        expected = feature_logits(written, bank, [feature])[0]
        assert shown.raises == tuple(texts_of[effect.token] for effect in expected.top)
    assert show(ShowFeatureSpec(**known, feature=name.feature), run=run, reporter=reporter).label == name
    assert search(SearchSpec(**known, text="apples"), run=run, reporter=reporter).root
    with pytest.raises(DataError):
        survey(SurveySpec(**known | {"second_model": None}, corpus=texts), run=run, reporter=reporter)


def test_options_of_the_template_reach_both_models(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[str, ...]] = []

    def note(name: str, _options: object, template: tuple[str, ...] = ()) -> Model:
        asked.append(template)
        return load(name)

    monkeypatch.setattr("mindscope.jobs.dictionary.inputs.load_model", note)
    tuned = str(persona_kit.tiny_chat_model(tmp_path / "tuned", n_layers=2, seed=7))
    option = ("enable_thinking=false",)
    TwoModelsSpec(model=model, second_model=tuned, template_option=option).load_models()
    assert asked == [option, option]


def test_the_formats_that_are_offered_are_those_that_are_known():
    assert {*get_args(FormatName)} == {*FORMATS}


def test_features_are_surveyed_named_shown_and_found(model: str, texts: str, folder: Path):
    known = {"model": model, "dictionary": str(folder / "resid_post.1.safetensors")}
    run, reporter = RunFolder(folder.parent / "survey"), job_kit.RecordingReporter()
    counted = survey(SurveySpec(**known, corpus=texts, rows=10), run=run, reporter=reporter)
    assert (counted.features, counted.rows) == (40, 10)
    labels = label(LabelSpec(**known), run=run, reporter=reporter)
    assert len(labels.root) == 40 - counted.dead
    first = labels.root[0]
    shown = show(ShowFeatureSpec(**known, feature=first.feature), run=run, reporter=reporter)
    assert shown.label == first
    assert Path(shown.page).exists()
    assert search(SearchSpec(**known, text="apples"), run=run, reporter=reporter).root
    assert Dictionary.load(known["dictionary"]).n_latents == 40


def test_a_search_takes_one_query_and_an_alarm_needs_thresholds():
    known = {"model": "nowhere", "dictionary": "sae"}
    with pytest.raises(DataError, match="one of them"):
        SearchSpec(**known, words="a", token="b")
    with pytest.raises(DataError, match="needs a threshold"):
        AlarmFeaturesSpec(**known, data="chats.jsonl", latents=(1,))


def test_dictionaries_of_a_folder_are_listed_by_their_numbers(tmp_path: Path):
    names = ["resid_post.9", "resid_post.15", "resid_post.21", "transcoder.6", "transcoder.12"]
    (tmp_path / "dictionaries").mkdir()
    for name in sorted(names):
        (tmp_path / "dictionaries" / f"{name}.safetensors").touch()
    assert list(find_dictionaries([tmp_path])) == names


def test_a_dictionary_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no dictionary .*nowhere: give a .safetensors file"):
        find_dictionaries([tmp_path / "nowhere"])


def test_training_begins_with_all_that_is_given_or_says_what_is_missing(
    model: str, texts: str, folder: Path, tmp_path: Path
):
    begin_with = (str(folder),)
    spec = TrainDictionariesSpec(model=model, corpus=texts, layers=(1,), begin_with=begin_with, **FAST)
    train(spec, run=RunFolder(tmp_path / "on"), reporter=job_kit.RecordingReporter())
    first, on = (Dictionary.load(*find_dictionaries([run]).values()) for run in (folder, tmp_path / "on"))
    assert on.metadata["began_as"] == first.digest()
    spec = TrainDictionariesSpec(model=model, corpus=texts, layers=(0, 1), begin_with=begin_with, **FAST)
    with pytest.raises(DataError, match=r"nothing for resid_post\.0, only resid_post\.1"):
        train(spec, run=RunFolder(tmp_path / "missing"), reporter=job_kit.RecordingReporter())
