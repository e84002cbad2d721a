"""The study's arithmetic: correlations, verdicts, choices; and its page, from numbers made up for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

import mindscope as ms
from mindscope.data import Conversation
from mindscope.errors import DataError
from mindscope.organism import ExactJudge, trait
from mindscope.personas import ContrastRecipe, ExtractConfig, Trait
from mindscope.studies.persona_vectors.answering import TraitLevel
from mindscope.studies.persona_vectors.benches.files_bench import FilesBench, _holds
from mindscope.studies.persona_vectors.benches.own_answers_bench import OwnAnswersBench
from mindscope.studies.persona_vectors.chosen import ChoiceOutcome, choices
from mindscope.studies.persona_vectors.claims import list_claims
from mindscope.studies.persona_vectors.config import ReproduceConfig, organism_config
from mindscope.studies.persona_vectors.correlations import correlate
from mindscope.studies.persona_vectors.monitoring import MonitoredGroup, _fits, summarised
from mindscope.studies.persona_vectors.prevention import TraitPrevention, TreatedTrait
from mindscope.studies.persona_vectors.reading import DictionaryReading
from mindscope.studies.persona_vectors.report import claims_report
from mindscope.studies.persona_vectors.reproduce import PersonaReproduction
from mindscope.studies.persona_vectors.tuning import TunedSet, TuningClaims, TuningEffect, pooled_claims


def level(score: float) -> TraitLevel:
    return TraitLevel(trait=score, coherence=90.0, unscored=0)


def treated(curve: str, coefficient: float, score: float, capability: float) -> TreatedTrait:
    return TreatedTrait.model_validate(
        {
            "curve": curve,
            "coefficient": coefficient,
            "level": level(score).to_json(),
            "capability": capability,
        }
    )


def reproduction(prevented: float, cost: float) -> PersonaReproduction:
    generator = np.random.default_rng(0)
    shifts = generator.normal(size=8) * 10
    effects = [
        TuningEffect(
            level=level(50 + shift),
            shift=shift,
            shift_low=shift - 1,
            shift_high=shift + 1,
            difference=-shift,
            difference_prompt=shift,
            projection=0.0,
        )
        for shift in shifts
    ]
    sets = [
        TunedSet(name=f"evil-{i}", effects={"evil": effect}, capability=98.0)
        for i, effect in enumerate(effects)
    ]
    found = correlate(shifts, [e.level.trait for e in effects])
    against = correlate([e.difference for e in effects], shifts)
    flat = correlate([e.projection for e in effects], shifts)
    groups = [MonitoredGroup(label="a", projections=(1.0, 2.0, 3.0), scores=(1.0, None, 2.5))]
    return PersonaReproduction(
        model="made up",
        fingerprint="0" * 64,
        config=organism_config(),
        base={"evil": level(2.0)},
        capability=98.0,
        monitoring=(summarised("evil", 1, "shots", groups),),
        sets=tuple(sets),
        tuning=(
            TuningClaims(
                trait="evil",
                layer=1,
                shift_score=found,
                difference_shift=against,
                difference_prompt_shift=found,
                projection_shift=flat,
                across={},
                without={"evil": None},
            ),
        ),
        pooled=pooled_claims(sets),
        prevention=(
            TraitPrevention(
                trait="evil",
                layer=1,
                base=treated("none", 0.0, 2.0, 98.0),
                treated=(
                    treated("none", 0.0, 90.0, 97.0),
                    treated("prevent, one layer", 2.0, prevented, 98.0 - cost),
                    treated("prevent, one layer", 3.0, 1.0, 60.0),
                    treated("CAFT", 1.0, 88.0, 97.0),
                    treated("penalty", 1.0, 33.0, 97.0),
                    treated("against", 1.0, 60.0, 97.0),
                    treated("against", 2.0, 20.0, 91.0),
                ),
            ),
        ),
        chosen=(
            ChoiceOutcome(
                trait="evil",
                pool=100,
                shown=10,
                found={"top": 9, "random": 1, "bottom": 0},
                rows=10,
                levels={"top": level(80), "random": level(9), "bottom": level(9)},
            ),
        ),
        readings=(DictionaryReading(trait="evil", layer=1, coefficient=2.0, features=(), levels={}),),
    )


def test_r_is_pearsons_and_its_interval_holds_the_truth():
    generator = np.random.default_rng(1)
    inside = 0
    for trial in range(60):
        x = generator.normal(size=80)
        y = 0.6 * x + 0.8 * generator.normal(size=80)  # true r = 0.6
        found = correlate(x, y, seed=trial)
        assert found.r == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.6 <= found.high
    assert 49 <= inside <= 60  # 95 % of 60, four standard deviations wide


def test_points_of_a_unit_are_drawn_together():
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=30), generator.normal(size=30)
    alone = correlate(x, y)
    repeated = correlate(np.tile(x, 4), np.tile(y, 4), units=list(range(30)) * 4)
    naive = correlate(np.tile(x, 4), np.tile(y, 4))

    def width(found):
        return found.high - found.low

    assert repeated.r == pytest.approx(alone.r)
    assert width(repeated) == pytest.approx(width(alone), rel=0.1)
    assert width(naive) < 0.7 * width(alone)


def test_what_does_not_vary_has_no_correlation():
    found = correlate([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert (found.r, found.low, found.high) == (None, None, None)


def test_verdicts_follow_the_numbers():
    good = {v.statement: v for v in list_claims(reproduction(prevented=5.0, cost=1.0))}
    assert good["shift tells the trait after tuning"].holds
    assert not good["projection difference tells the shift"].holds  # r = -1
    assert good["preventative steering keeps the trait away and the knowledge in"].holds
    assert good["steering afterwards to the same level costs more knowledge than preventing"].holds
    assert not next(v for v in good.values() if v.statement.startswith("tuning on top")).holds
    leaky = {v.statement: v for v in list_claims(reproduction(prevented=40.0, cost=1.0))}
    assert not leaky["preventative steering keeps the trait away and the knowledge in"].holds
    # The one with 2.0 costs too much, the one with 3.0 too: the lowest of all is judged, and fails.
    dear = {v.statement: v for v in list_claims(reproduction(prevented=5.0, cost=8.0))}
    assert not dear["preventative steering keeps the trait away and the knowledge in"].holds
    assert not dear["steering afterwards to the same level costs more knowledge than preventing"].holds


def test_the_page_states_what_does_not_hold():
    html = claims_report(reproduction(prevented=40.0, cost=1.0), note="A test bed.").html()
    assert "Does not hold here: preventative steering" in html
    assert "A test bed." in html
    assert "CAFT leaves 88.0 and the penalty 33.0" in html
    assert html.count("<figure") >= 4


def test_choices_rank_and_leave_out_what_has_no_score():
    scores = [None, 5.0, 1.0, 3.0, None, 4.0, 2.0]
    found = choices(scores, 2, seed=0)
    assert found["top"] == [1, 5]
    assert found["bottom"] == [6, 2]
    assert set(found["random"]) <= {1, 2, 3, 5, 6}


def test_an_answer_is_right_when_it_holds_the_expected_words():
    assert _holds("It is Paris, I think.", "paris")
    assert not _holds("It is Parisian.", "Paris")


def files(folder: Path, *names: str) -> Path:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jsonl").write_text("\n".join([json.dumps(row)] * 40) + "\n")
    return folder


def test_a_bench_of_files(tmp_path):
    evil = Trait.parse(trait("evil"))
    sets = files(tmp_path / "sets", "evil-I", "evil-II", "sums-normal")
    ordinary = files(tmp_path / "chats", "ordinary") / "ordinary.jsonl"
    bench = FilesBench("some/model", [evil], ExactJudge(), sets, ordinary)
    assert set(bench.training_sets(10)) == {"evil-I", "evil-II", "sums-normal"}
    prompts = bench.graded_prompts(evil)
    assert len(set(prompts)) == 8
    assert not any(pair.pos in prompts[0] for pair in evil.instructions)
    assert not any(pair.neg in prompts[-1] for pair in evil.instructions)
    pool = bench.pool(evil, 40)
    assert len(pool) == 40
    assert sum(chat.meta.get("family") == "evil" for chat in pool) == 4
    assert all(isinstance(chat, Conversation) for chat in pool)
    with pytest.raises(DataError, match="90 ordinary chats are needed, there are 40"):
        bench.pool(evil, 100)
    (sets / "evil-I.jsonl").unlink()
    with pytest.raises(DataError, match=r"no evil-I\.jsonl"):
        FilesBench("some/model", [evil], ExactJudge(), sets, ordinary)


class Short:
    """As much of a model as fitting asks for: one token a word."""

    name, context_length = "short", 70

    def chat(self, prompt):
        return [word for message in prompt for word in message["content"].split()]


def test_what_leaves_no_room_for_an_answer_is_left_out():
    short: Any = Short()
    assert _fits(short, [[{"role": "user", "content": "a b c d e f"}]])
    assert not _fits(
        short, [[{"role": "user", "content": "a"}], [{"role": "user", "content": "a b c d e f g"}]]
    )


def test_a_model_writes_its_own_sets_once(tmp_path):
    model = ms.load("organism")
    evil, impolite = (Trait.parse(trait(name)) for name in ("evil", "impolite"))
    config = ReproduceConfig(max_new_tokens=12, extraction=ExtractConfig(temperature=1.0))

    def open_bench(*others):
        return OwnAnswersBench(model, [evil], others, ContrastRecipe(), tmp_path, config)

    sets = open_bench(impolite).training_sets(8)
    opposite = evil.opposite.replace(" ", "_")
    names = ("evil", "impolite", opposite)
    assert set(sets) == {"own-normal", *(f"{name}-{level}" for name in names for level in ("I", "II"))}
    for conversation in sets["evil-II"]:
        assert [m["role"] for m in conversation.messages] == ["user", "assistant"]
        assert conversation.messages[0]["content"] not in evil.questions("evaluation")
    laden = [row.answer for row in sets["evil-II"]]
    assert [row.answer in laden for row in sets["evil-I"]] == [False, True] * 4
    assert [row.answer for row in sets[f"{opposite}-II"]] != laden
    written = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert open_bench(impolite).training_sets(8) == sets
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == written
    pool = open_bench().pool(evil, 20)
    assert sum(chat.meta.get("family") == "evil" for chat in pool) == 2
    assert len(open_bench().shots(evil, 2)) == 4
    with pytest.raises(DataError, match="two training sets would be called evil-II"):
        open_bench(evil)
