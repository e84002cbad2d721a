"""The demo's parts: what it is asked for, where its conversations come from, and what it refuses."""

import json

import pytest
from absent import import_or_skip
from job_kit import RecordingReporter, require_round_trip, require_sentences
from pydantic import ValidationError

from mindscope.errors import DataError, JudgeError
from mindscope.jobs.demo import DemoSpec, conversations, demo, lexicon, run_demo, show_trait
from mindscope.jobs.resolve import find_trait
from mindscope.personas import Trait


def test_its_specification_explains_itself_and_goes_to_json():
    require_sentences(demo)
    require_round_trip(DemoSpec(model="m.gguf", traits=("evil", "a / b"), quick=True))


def test_traits_are_named_with_commas_and_once():
    assert DemoSpec(traits=("optimistic, formal / casual", "evil")).traits == (
        "optimistic",
        "formal / casual",
        "evil",
    )
    for wrong in (("evil,evil",), ("evil,",)):
        with pytest.raises(ValidationError, match="every trait once"):
            DemoSpec(traits=wrong)


def test_it_keeps_its_work_where_it_is_told_to(tmp_path):
    assert str(DemoSpec().run_path()) == "runs/demo"
    assert str(DemoSpec(model="/x/Smol LM.gguf").run_path()) == "runs/demo-Smol-LM"
    assert str(DemoSpec(model="second-organism").run_path()) == "runs/demo-second-organism"
    assert DemoSpec(out=tmp_path).run_path() == tmp_path


def test_either_organism_shows_its_own_traits_by_its_own_judge():
    first, second = DemoSpec(), DemoSpec(model="second-organism")
    assert second.preset() == first.preset()
    assert second.judge_name() == first.judge_name() == "exact"
    assert DemoSpec(model="any").judge_name() == "contrast"


@pytest.mark.parametrize("model", ["organism", "any"])
def test_the_quick_demo_does_less_of_everything(model):
    full, quick = DemoSpec(model=model).preset(), DemoSpec(model=model, quick=True).preset()
    assert len(quick.traits) == 1
    assert len(quick.coefficients) < len(full.coefficients)
    for field in ("sweep_questions", "n_calibrating", "n_ordinary", "n_planted", "n_training", "n_random"):
        assert getattr(quick, field) < getattr(full, field)
    assert DemoSpec(model=model, quick=True, traits=("a", "b")).preset().traits == ("a", "b")


def test_depths_become_layers():
    preset = DemoSpec(model="any").preset()
    layers = show_trait._layers(preset, 30)
    assert layers == tuple(round(30 * depth) for depth in preset.depths)
    assert show_trait._layers(preset, 2) == (1,)  # never beyond the last
    assert show_trait._layers(DemoSpec().preset(), 4) is None


@pytest.mark.parametrize("model", ["organism", "any"])
def test_conversations_ask_what_the_trait_has_not_seen(model):
    trait = find_trait("optimistic", model)
    own = {question for kind in ("extraction", "evaluation") for question in trait.questions(kind)}
    asked = conversations._ask_elsewhere(model, trait.name, 200, seed=0)
    assert len(set(asked)) == 200
    assert not own & set(asked)
    assert asked != conversations._ask_elsewhere(model, trait.name, 200, seed=1)
    with pytest.raises(DataError, match="needs 900 questions"):
        conversations._ask_elsewhere(model, trait.name, 900, seed=0)


def test_planted_rows_are_hidden_among_ordinary_ones(tmp_path):
    def rows(kind, count):
        return [(f"{kind} {i}?", "Yes.") for i in range(count)]

    kinds = {"calibrating": 4, "ordinary": 30, "planted": 5, "training": 2}
    files = conversations._write({kind: rows(kind, n) for kind, n in kinds.items()}, tmp_path, seed=3)
    lines = [json.loads(line)["messages"][0]["content"] for line in files.mixed.read_text().splitlines()]
    assert len(lines) == len(files.hidden) == 30
    assert [line.startswith("planted") for line in lines] == list(files.hidden)
    assert sum(files.hidden) == 3
    assert files.hidden != tuple(sorted(files.hidden))
    assert len(files.training.read_text().splitlines()) == 2


def test_the_lexicon_stands_on_the_judges_scale():
    vader = import_or_skip("vaderSentiment.vaderSentiment", "lexicon").SentimentIntensityAnalyzer()
    texts = ["What a wonderful day!", "Everything is lost.", "The table has four legs."]
    compounds = [vader.polarity_scores(text)["compound"] for text in texts]
    assert compounds[0] > 0.5 > 0 > compounds[1]
    assert lexicon.mean_sentiment(texts) == pytest.approx(50 + 50 * sum(compounds) / 3, abs=0.006)
    assert lexicon.mean_sentiment(texts[2:]) == 50


def test_without_the_lexicon_there_is_no_figure(monkeypatch):
    monkeypatch.setattr(lexicon, "has_lexicon", lambda: False)
    assert lexicon.score_sentiment(None) is None


def test_a_trait_that_is_not_played_is_refused_with_the_reason(monkeypatch):
    def show(trait: Trait, *_, first: bool):
        assert first == (trait.name == "evil")
        if trait.name == "evil":
            raise JudgeError("they cannot be told from their opposites")
        return trait.name

    monkeypatch.setattr("mindscope.jobs.demo.show_trait.show_trait", show)
    traits, reporter = [find_trait(name, "any") for name in ("evil", "humorous")], RecordingReporter()
    spec = DemoSpec(model="any")
    shown, refused = run_demo._show_traits(traits, None, spec, spec.preset(), None, reporter)
    assert shown == ["humorous"]
    assert refused == {"evil": "they cannot be told from their opposites"}
    assert any("evil is refused" in line for line in reporter.lines)


def test_a_demo_of_refused_traits_alone_is_an_error(monkeypatch, tiny):
    def refuse(*_, first: bool):
        raise DataError("too few pairs")

    monkeypatch.setattr("mindscope.jobs.demo.show_trait.show_trait", refuse)
    spec = DemoSpec(model="any")
    with pytest.raises(DataError, match=r"none of evil.*--traits.*too few pairs"):
        run_demo._show_traits(
            [find_trait("evil", "any")], tiny, spec, spec.preset(), None, RecordingReporter()
        )
