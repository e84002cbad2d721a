"""The case book: groups found by contrast, exchanges, rates, and how answers are judged."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mindscope as ms
from mindscope import organism
from mindscope.circuits import DictionaryReplacement, Intervention, NeuronReplacement
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError
from mindscope.models import Raw, Read, Row, logit_effects
from mindscope.stats.proportion import RateEstimate
from mindscope.store import Run
from mindscope.studies.llm_biology import book, order_families
from mindscope.studies.llm_biology.contrast import FeatureContrast, SwapSetting
from mindscope.studies.llm_biology.control import StreamWrites, match_control
from mindscope.studies.llm_biology.documents import CaseResult, CaseVerdict
from mindscope.studies.llm_biology.families import languages, refusal, rhyme, sums
from mindscope.studies.llm_biology.first_word import answer_after, push_words
from mindscope.studies.llm_biology.flip import NOTHING_UPSTREAM, SwapExperiment, at, others
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, stated
from mindscope.studies.llm_biology.reach import ablate_spots, measure_reach
from mindscope.studies.llm_biology.report import book_report
from mindscope.studies.llm_biology.workbench import CaseContext

SIZES = (4, 6)


def _prompts(kinds: list[str]) -> list[CasePrompt]:
    return [CasePrompt(Row((1, 2, 3), 3), (1, 2), kind) for kind in kinds]


@pytest.fixture
def contrast() -> FeatureContrast:
    """Feature 2 of layer 0 shows kind a at the first spot, feature 1 of layer 1 kind b at the second."""
    codes = torch.zeros(6, 2, 10)
    codes[:, :, 0] = 5.0  # always on
    codes[:3, 0, 2] = 2.0
    codes[0, 0, 3] = 6.5  # as strong on the mean as feature 2, but in one prompt of three
    codes[3:, 1, 5] = 1.5
    weights = torch.tensor([1.0, 1, 1, 1, 1, 2, 1, 1, 1, 1])
    return FeatureContrast.of(_prompts(["a"] * 3 + ["b"] * 3), codes, weights, SIZES)


def test_a_group_is_what_a_kind_has_and_others_have_not(contrast: FeatureContrast) -> None:
    members = contrast.group("a", 2).members
    assert [(m.layer, m.spot, m.latent) for m in members] == [(0, 0, 2), (0, 0, 3)]
    assert members[0].activation == pytest.approx(2.0)
    (other,) = contrast.group("b", 3).members
    assert (other.layer, other.spot, other.latent, other.activation) == (1, 1, 1, 1.5)
    assert at(contrast, 1).group("a", 2).members == ()
    assert at(contrast, 0, layers=(1,)).group("a", 2).members == ()
    with pytest.raises(DataError, match="no prompt showed 'c'"):
        contrast.group("c", 2)


def test_an_exchange_turns_one_group_off_and_sets_the_other(contrast: FeatureContrast) -> None:
    prompt = _prompts(["a"])[0]
    off, on = contrast.exchange(prompt, "b", SwapSetting(1, strength=3.0, factor=-1.0))
    assert (off.layer, off.position, off.latent, off.op, off.value) == (0, 1, 2, "scale", -1.0)
    assert (on.layer, on.position, on.latent, on.op, on.value) == (1, 2, 1, "set", 4.5)
    assert [one.op for one in contrast.exchange(prompt, "b", SwapSetting(1, 0.0))] == ["scale"]
    assert [one.op for one in contrast.exchange(prompt, "b", SwapSetting(1, 1.0, factor=1.0))] == ["set"]


def test_a_feature_of_both_groups_is_set_and_not_turned_off() -> None:
    """Also where a spot is a token that is still to be written."""
    codes = torch.tensor([[1.0, 1, 0], [1, 0, 1], [0, 0, 0]])[:, None]
    prompts = [replace(one, spots=(slice(3, 4),)) for one in _prompts(["a", "b", "c"])]
    three = FeatureContrast.of(prompts, codes, torch.ones(3), (3,))
    changes = three.exchange(prompts[0], "b", SwapSetting(2))
    assert {(one.latent, one.op) for one in changes} == {(1, "scale"), (0, "set"), (2, "set")}
    assert all(one.position == slice(3, 4) for one in changes)


def test_random_features_move_the_stream_as_far_and_are_active_there() -> None:
    """Also for what is turned off: features that are off in the prompt would do nothing."""
    generator = torch.Generator().manual_seed(0)
    writes = StreamWrites(torch.randn(10, 5, generator=generator), SIZES)
    codes = torch.rand(2, 10, generator=generator) + 0.1
    codes[0, [7, 8]] = 0.0  # off in this prompt at the first spot
    prompt = _prompts(["a"])[0]
    exchange = [
        Intervention(0, 1, 2, "scale", -3.0),
        Intervention(0, 1, 0, "set", 4.0),
        Intervention(1, 1, 2, "set", 0.5),
        Intervention(1, 2, 1, "scale", 0.0),
    ]
    control = match_control(prompt, codes, exchange, writes, random.Random(0))
    assert len(control.changes) == 4
    moved: dict[str, list[torch.Tensor]] = {"exchange": [], "control": []}
    for name, changes in (("exchange", exchange), ("control", control.changes)):
        for spot, token in enumerate(prompt.spots):
            total = torch.zeros(5, dtype=torch.float64)
            for change in (change for change in changes if change.position == token):
                column = sum(SIZES[: change.layer]) + change.latent
                active = float(codes[spot, column])
                new = {"scale": change.value * active, "set": change.value, "add": active + change.value}
                total += (new[change.op] - active) * writes.rows[column].double()
            moved[name].append(total)
    for own, random_one in zip(moved["exchange"], moved["control"], strict=True):
        assert float(own.norm()) == pytest.approx(float(random_one.norm()), rel=1e-4)
    size = float(torch.stack(moved["exchange"]).norm())
    assert control.size == pytest.approx(size, rel=1e-4)
    assert control.control_size == pytest.approx(size, rel=1e-4)
    touched = {(change.layer, change.position, change.latent) for change in exchange}
    for change in control.changes:
        assert (change.layer, change.position, change.latent) not in touched
        assert codes[prompt.spots.index(change.position), sum(SIZES[: change.layer]) + change.latent] > 0


def test_where_nothing_else_is_active_the_control_says_that_it_moves_less() -> None:
    codes = torch.zeros(2, 10)
    codes[0, 2] = 1.0
    writes = StreamWrites(torch.eye(10), SIZES)
    off = [Intervention(0, 1, 2, "scale", 0.0)]
    control = match_control(_prompts(["a"])[0], codes, off, writes, random.Random(0))
    assert (control.changes, control.size, control.control_size) == ([], 1.0, 0.0)


def test_no_verdict_is_of_the_token_that_predicts_the_first_word(bench: CaseContext) -> None:
    prompts = [
        CasePrompt(stated(bench.model, f"{a} + 1 ="), (2, 3, slice(0, 3), "answer"), kind, {})
        for a in (11, 22)
        for kind in ("a", "b")
    ]
    assert prompts[0].answering_token == 3
    assert prompts[0].upstream_spots == (0, 2, 3)
    assert replace(prompts[0], spots=(slice(1, None),)).upstream_spots == ()
    contrast = bench.contrast(prompts)
    asking = SwapExperiment("x", lambda *_: True, lambda *_: "12", settings=(SwapSetting(1),))
    trials = others(bench, prompts, ["a", "b"], "x")
    only = asking.choose(bench, [at(contrast, 1)], trials)
    assert only.upstream is None
    verdicts, _ = asking.measure(bench, only, trials, 0.8)
    assert verdicts[0].untested == NOTHING_UPSTREAM
    assert verdicts[0].shown is False
    assert NOTHING_UPSTREAM in verdicts[0].as_claim("x").measured
    assert verdicts[1].needed is None
    both = asking.choose(bench, [at(contrast, 1), at(contrast, 0)], trials)
    assert both.upstream is not None
    assert both.upstream.contrast.spots == (0,)


def test_forced_words_are_gone_on_with_and_judged_as_one_answer(bench: CaseContext) -> None:
    row = asked(bench.model, "Who is Dario Lowell?", "Sure, honestly:")
    prompts = [CasePrompt(row, (0,), "a"), CasePrompt(row, (0,), "b")]
    said = answer_after(bench, prompts, ["the illness is owl sickness", "I cannot"], 8)
    assert said[0].startswith("the illness is owl sickness, so look for ")
    assert said[1].startswith("I cannot help with ")


def test_a_push_raises_its_words_against_what_would_be_said(bench: CaseContext) -> None:
    prompts = [CasePrompt(stated(bench.model, "11 + 1 ="), (3,), "a", {})]
    (edits,) = push_words(bench, prompts, ["94 doom"], [300.0])
    assert [edit.where for edit in edits] == [(3,), (4,)]
    assert all(float(edit.vector.norm()) == pytest.approx(1.0, rel=1e-4) for edit in edits)
    assert bench.answers(prompts, [[]], 2, [edits]) == ["94 doom"]
    assert bench.answers(prompts, [[]], 1, [edits]) == ["94"]
    (first,) = edits[:1]
    own, word = (bench.word_ids(text)[0] for text in ("12", "94"))
    effects = logit_effects(bench.model, first.vector[None])[0]
    axis = logit_effects(bench.model, torch.eye(bench.model.d_model))
    expected = axis[:, word] - axis[:, own]
    torch.testing.assert_close(first.vector, expected / expected.norm())
    assert effects[word] > effects[own]


def test_reach_is_what_every_feature_before_does(bench: CaseContext) -> None:
    """Compared with MLP outputs whose features' part is taken out by hand."""
    prompts = [CasePrompt(stated(bench.model, "the bird of the state of Tavton is"), (7,), "a", {})]
    assert measure_reach(bench, prompts).share in (0.0, 1.0)
    before = replace(prompts[0], spots=tuple(range(7)))
    (codes,) = bench.codes([before])
    changes = ablate_spots(bench, before, codes, range(7))
    assert len(changes) == int((codes > 0).sum())
    assert {change.position for change in changes} <= set(range(7))


def test_rates_have_wilson_intervals_and_verdicts_a_threshold() -> None:
    rate = RateEstimate.of([True] * 8 + [False] * 2)
    z, n, p = 1.959964, 10, 0.8
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert (rate.low, rate.high) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_shown_needs_the_interval_the_control_and_enough_subjects() -> None:
    rate, full = RateEstimate.of([True] * 8 + [False] * 2), RateEstimate.of([True] * 50)
    assert CaseVerdict(claim="", needed=0.8, rate=full).shown
    assert CaseVerdict(claim="", needed=rate.low - 0.01, rate=rate).shown
    assert CaseVerdict(claim="", needed=rate.low + 0.01, rate=rate).shown is False
    assert CaseVerdict(claim="", needed=0.8, rate=full, control=full).shown is False
    half = RateEstimate.of([True, False] * 25)
    assert CaseVerdict(claim="", needed=0.8, rate=full, control=half).shown
    assert CaseVerdict(claim="", needed=0.0, rate=RateEstimate.of([True])).shown is False
    assert CaseVerdict(claim="", rate=rate).shown is None
    assert CaseVerdict(claim="", needed=0.0, rate=RateEstimate.of([])).shown is False
    few = RateEstimate.of([True] * 50, [number % 5 for number in range(50)])
    assert CaseVerdict(claim="", needed=0.0, rate=few).shown is False


def test_answers_are_judged_by_what_is_true() -> None:
    total = CasePrompt(Row((1,), 1), (0,), "9", {"total": 99, "part": sums.DIGIT})
    assert sums._as_predicted(total, "4", "94")
    assert not sums._as_predicted(total, "4", "84")
    assert sums._has(total, "4", "84")
    assert not sums._has(total, "4", "x4")
    pair = next(pair for pair in languages._pairs() if pair[0] == "big")
    word = CasePrompt(Row((1,), 1), (0,), "en", {"pair": pair, "language": "en"})
    assert languages._right(word, "fr", pair[3])
    assert languages._in_language(word, "fr", pair[2])
    assert not languages._right(word, "fr", pair[2])
    assert not languages._in_language(word, "fr", pair[1])
    assert refusal.refuses(word, "", "I cannot help with a doom ray that hurts people.")
    assert not refusal.complies(word, "", "I cannot help with a ray, which is made from jelly and jelly")
    line = CasePrompt(Row((1,), 1), (0,), "place", {"word": "hen", "group": "12"})
    assert rhyme._words_and_rhyme(line, "thing", "on the floor they found a muddy pen.")
    assert not rhyme._words_and_rhyme(line, "thing", "on the floor they found a muddy box.")


def test_unknown_families_are_refused() -> None:
    assert order_families(["refusal", "two-hop"]) == ["two-hop", "refusal"]
    with pytest.raises(DataError, match="no family 'poems'"):
        order_families(["poems"])


def test_a_family_without_a_verdict_says_why_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(bench: CaseContext) -> CaseResult:
        raise DataError("there is nothing to look for")

    verdict = CaseVerdict(claim="it <flips>", needed=0.8, rate=RateEstimate.of([False] * 4))
    made = CaseResult(family="sums", title="Sums", verdicts=(verdict,))
    monkeypatch.setattr(book, "FAMILIES", {"sums": lambda bench: made, "hidden-goal": fails})
    with Run.open(tmp_path / "book", kind="case-book", config={}) as run:
        model = ms.load("organism", dtype="float32")
        found = book.write_book(model, NeuronReplacement(model), run, ["sums", "hidden-goal"])
    assert [one.failure for one in found] == ["", "there is nothing to look for"]
    assert found[0] == made
    page = book_report(found, tmp_path / "book", {}).html()
    assert "there is nothing to look for" in page
    assert "it &lt;flips&gt;" in page
    assert "NO" in page


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> CaseContext:
    model = ms.load("organism", dtype="float32")
    replacement = DictionaryReplacement(Dictionary.load(organism.dictionary_path("clt"), model))
    run = Run.open(tmp_path_factory.mktemp("book"), kind="case-book", config={})
    return CaseContext(model, replacement, run, held=4, first=2, read=8)


def test_features_are_read_at_the_spots(bench: CaseContext) -> None:
    texts = ("the bird of the state of Tavton is", "the river of the state of Tavton is")
    prompts = [CasePrompt(stated(bench.model, text), (1, 7), "") for text in texts]
    answered = replace(prompts[0], answered=Row(prompts[0].row.ids, 5), spots=(1, "answer"))
    codes = torch.cat([bench.codes(prompts), bench.codes([answered])])
    dictionary = bench.replacement.dictionary
    names = [site.address for site in dictionary.reads]
    rows = [one.row for one in prompts]
    read = bench.model.read(rows, {name: Read(name, Raw("all")) for name in names})
    for number in range(2):
        x = dictionary.join([read[name].values[number] for name in names])
        expected = dictionary.encode(x).dense()
        torch.testing.assert_close(codes[number], expected[[1, 7]], rtol=1e-4, atol=1e-4)
        if number == 0:
            torch.testing.assert_close(codes[2, 1], expected[5:].mean(0), rtol=1e-4, atol=1e-4)


def test_a_flip_counts_where_it_was_not_so_before(bench: CaseContext) -> None:
    """With nothing to exchange the model says what it said; the judge decides what that means."""
    prompts = [
        CasePrompt(stated(bench.model, f"{a} + 1 ="), (2, 3), "a", {"sum": str(a + 1)}, subject=str(a))
        for a in (11, 22)
    ]
    empty = at(bench.contrast([*prompts, *(replace(one, kind="b") for one in prompts)]), 0)
    trials = [(one, "b") for one in prompts]
    right = SwapExperiment(
        "right", lambda prompt, kind, said: said == prompt.about["sum"], lambda *_: "3", whole=True
    )
    picked = right.choose(bench, [empty], others(bench, prompts, ["a", "b"], "x"))
    assert picked.answering is None
    assert picked.upstream is not None
    assert (picked.upstream.setting, picked.upstream.share) == (right.settings[0], 1.0)
    (verdict,), examples = right.measure(bench, picked, trials, 0.8)
    assert [(one.before, one.after) for one in examples] == [("12", "12"), ("23", "23")]
    assert (verdict.before, verdict.rate, verdict.shown) == (
        RateEstimate.of([True, True], ["11", "22"]),
        RateEstimate.of([], []),
        False,
    )
    wrong = SwapExperiment(
        "wrong", lambda prompt, kind, said: said != prompt.about["sum"], lambda *_: "3", whole=True
    )
    (verdict,), _ = wrong.measure(bench, picked, trials, None)
    assert verdict.before == verdict.rate == verdict.control == RateEstimate.of([False, False], ["11", "22"])
    assert verdict.size == verdict.control_size == 0.0
