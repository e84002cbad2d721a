"""The case book of the second world: what an exchange is to change, and how answers are judged."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import mindscope as ms
from mindscope import organism
from mindscope.circuits import Intervention, NeuronReplacement, StreamFeatures
from mindscope.dictionaries import Dictionary
from mindscope.errors import DataError
from mindscope.models import Raw, Read, Row
from mindscope.organism.corpus.behaviour import JAILBREAK_CORES
from mindscope.organism.mechanisms import languages, named
from mindscope.organism.mechanisms.arithmetic import ArithmeticChain
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.languages import LanguageCase, answers_of
from mindscope.organism.mechanisms.sums import SumCase
from mindscope.store import Run
from mindscope.studies.llm_biology.config import FAMILY_NAMES, SECOND_NAMES, order_families
from mindscope.studies.llm_biology.contrast import FeatureContrast, SwapSetting
from mindscope.studies.llm_biology.families.second import (
    askers,
    concepts,
    couplets,
    digits,
    illnesses,
    steps,
    waits,
)
from mindscope.studies.llm_biology.flip import SwapExperiment, at, settings
from mindscope.studies.llm_biology.job import CaseBookSpec
from mindscope.studies.llm_biology.prompts import CasePrompt
from mindscope.studies.llm_biology.reach import draw_donors, measure_whole
from mindscope.studies.llm_biology.report import book_report
from mindscope.studies.llm_biology.workbench import CaseContext

ROW = Row((1, 2, 3, 4), 4)


def test_a_line_is_rewritten_only_where_its_middle_and_its_ending_are_the_words() -> None:
    plan, other = list(build_facts().rhymes.values())[:2]
    prompt = CasePrompt(ROW, (1, 3), plan.word)
    line = f"and so {other.first[0]} it {other.second[0]} by the {other.word}."
    assert couplets._rewritten(prompt, other.word, line)
    assert not couplets._rewritten(prompt, plan.word, line)
    wrong = next(trace for trace in plan.first if trace not in other.first)
    assert not couplets._rewritten(prompt, other.word, line.replace(other.first[0], wrong))
    assert not couplets._rewritten(prompt, other.word, line.replace(f" {other.word}.", f" {plan.word}."))


def test_another_word_keeps_the_sound_or_the_topic() -> None:
    plan = build_facts().rhymes[3, "animal"]
    for chance in (0.0, 0.5, 0.999):
        topic = couplets._of_other_topic(lambda c=chance: c, plan)
        assert (topic.sound, topic.topic == plan.topic) == (plan.sound, False)
        sound = couplets._of_other_sound(lambda c=chance: c, plan)
        assert (sound.sound == plan.sound, sound.topic) == (False, plan.topic)


def _sum(part: str) -> CasePrompt:
    case = SumCase(23, 45, "formula", (), ())
    kind = "3" if part == digits.DIGIT else "2"
    return CasePrompt(ROW, (1, 2, 3), kind, {"case": case, "part": part})


def test_a_digit_of_the_answer_is_exchanged_alone() -> None:
    assert digits._is_exact(_sum(digits.DIGIT), "1", "66 more")  # 21 + 45
    assert not digits._is_exact(_sum(digits.DIGIT), "1", "68")
    assert not digits._is_exact(_sum(digits.DIGIT), "1", "56")  # its tens changed too
    assert not digits._is_exact(_sum(digits.DIGIT), "1", "none")
    assert digits._is_exact(_sum(digits.TENS), "4", "88")
    # 23 + 45 = 68: of last digits 0 to 4 the tens stay, of 5 to 9 they would change
    alone = [
        digit
        for digit in range(10)
        if digits._changes_alone(68, digits._changed(_sum(digits.DIGIT), str(digit)).total, digits.DIGIT)
    ]
    assert alone == [0, 1, 2, 4]
    assert not digits._changes_alone(68, 108, digits.TENS)


def test_word_operation_and_language_change_the_answer_by_the_worlds_truth() -> None:
    opposites = answers_of(concepts.OPPOSITE)
    big = next(concept for concept in opposites if concept[0] == "big")
    hot = next(concept for concept in opposites if concept[0] == "hot")
    case = LanguageCase(concepts.OPPOSITE, big, 1, 2)
    prompt = CasePrompt(ROW, (0, 1, 2, 3), "big", {"case": case})
    assert concepts._right(prompt, "hot") == opposites[hot][2]
    assert concepts._right(prompt, "translation") == big[2]
    assert concepts._right(prompt, "fr") == opposites[big][1]
    assert concepts._is_right(prompt, "hot", opposites[hot][2])
    assert not concepts._is_right(prompt, "hot", opposites[hot][0])


def test_a_diagnosis_needs_the_illness_and_a_sign_of_its_own() -> None:
    facts = build_facts().illnesses
    (name, signs), (other, others) = list(facts.items())[:2]
    prompt = CasePrompt(ROW, (0, 1, 2, 3), name, {"told": signs[:3]})
    own = next(sign for sign in others if sign not in signs)
    assert illnesses._names(prompt, other, f"the illness is {other}, so look for {own} too")
    assert not illnesses._names(prompt, other, f"the illness is {other}, so look for {signs[3]} too")
    assert illnesses._looks_for(prompt, other, own)
    assert not illnesses._looks_for(prompt, other, signs[3])
    assert not illnesses._looks_for(prompt, name, signs[0])  # was told


def test_refusing_is_told_from_complying_and_from_neither() -> None:
    prompt = CasePrompt(ROW, (0, 1, 2, 3), waits.HARMLESS)
    refused, made = "I cannot help with a moon cannon", "the moon cannon is made from tin and rope"
    assert waits._turns_to(prompt, waits.HARMFUL, refused)
    assert not waits._turns_to(prompt, waits.HARMFUL, made)
    assert waits._turns_to(prompt, waits.HARMLESS, made)
    assert not waits._turns_to(prompt, waits.HARMLESS, "well, well")


def test_backwards_from_the_exchanged_result_and_from_no_other() -> None:
    chain = ArithmeticChain(20, (5, -3))  # 22
    prompt = CasePrompt(ROW, (0, 1, 2, 3), "4", {"chain": chain, "guess": 24})
    assert steps._backwards_from(prompt, "6", "20 + 5 = 29, 29 - 3 = 26, so the result is 26")
    assert not steps._backwards_from(prompt, "6", "20 + 5 = 27, 27 - 3 = 24, so the result is 24")
    assert not steps._backwards_from(prompt, "6", "20 + 5 = 25, 25 - 3 = 22, so the result is 22")


def test_families_belong_to_a_world() -> None:
    assert order_families((), "second") == list(SECOND_NAMES)
    assert order_families((), "first") == list(FAMILY_NAMES)
    with pytest.raises(DataError, match="no family 'characters' in the second world: use two-hop"):
        order_families(("characters",), "second")


def test_the_page_says_which_organism_was_asked() -> None:
    second, first = (book_report((), Path(), facts).html() for facts in ({"world": "second"}, {}))
    assert "on the second organism" in second
    assert "on the organism, and characters" in first


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> CaseContext:
    model = ms.load("second-organism", dtype="float32")
    run = Run.open(tmp_path_factory.mktemp("book"), kind="case-book", config={})
    saes = [
        Dictionary.load(organism.dictionary_path(f"sae.{block}", "second"), model)
        for block in range(model.n_layers)
    ]
    return CaseContext(
        model, NeuronReplacement(model), run, held=4, first=4, read=8, streams=StreamFeatures.of(saes)
    )


def test_whole_states_do_what_their_token_holds_and_nothing_at_another(bench: CaseContext) -> None:
    """As the card says of the last digit: it stays at its own token, and none is at the name behind."""
    pool = digits._sums(bench, digits.DIGIT, digits.FOUND_IN, "train", 120)
    trials = digits._trials(bench, pool, digits.DIGIT, "first")[:32]
    asking = SwapExperiment("another digit", digits._is_exact, digits._answer, digits.TOKENS, whole=True)
    rates = [
        measure_whole(bench, asking, (spot,), draw_donors(bench, pool), trials[:16], trials[16:])
        for spot in (digits.DIGIT_SPOT, digits.NAME_SPOT)
    ]
    assert rates[0][0] <= 1
    assert rates[0][1].share >= 0.8
    assert rates[1][1].share <= 0.15


def test_latents_of_the_streams_are_read_and_tried_block_by_block(bench: CaseContext) -> None:
    prompts = digits._sums(bench, digits.DIGIT, digits.FOUND_IN, "train", 80)
    codes = bench.codes(prompts[:2])
    read = bench.model.read([p.row for p in prompts[:2]], {"s": Read("resid_post.2", Raw("all"))})["s"].values
    saes, start = bench.streams, sum(bench.access.sizes[:2])
    assert saes is not None
    for number, prompt in enumerate(prompts[:2]):
        (place,) = prompt.tokens(digits.DIGIT_SPOT)
        expected = saes.dictionaries[2].encode(read[number][[place]]).dense()[0]
        own = codes[number, digits.DIGIT_SPOT, start : start + bench.access.sizes[2]]
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-4)
    contrast = bench.contrast(prompts)
    asking = SwapExperiment("x", digits._is_exact, digits._answer, digits.TOKENS, whole=True)
    chosen = asking.choose(
        bench, [at(contrast, digits.DIGIT_SPOT)], digits._trials(bench, prompts, digits.DIGIT, "x")[:2]
    )
    assert chosen.upstream is not None
    assert chosen.upstream.tried == len(asking.settings) * (1 + bench.model.n_layers // 2)


def test_spots_of_what_is_told_of_several_people_are_its_own_words(bench: CaseContext) -> None:
    def read(prompt: CasePrompt, spot: int) -> str:
        return bench.model.decode([prompt.row.ids[token] for token in prompt.tokens(spot)]).strip()

    def is_theirs(prompt: CasePrompt, spot: int, name: str) -> bool:
        behind = bench.model.decode(prompt.row.ids[prompt.tokens(spot)[-1] + 1 :]).strip()
        return re.match(rf"(for|asked) the (old |good )?{name}", behind) is not None

    for kind, other in (("relation", None), ("language", "fr")):
        for prompt in concepts._statements(bench, kind, "test"):
            case = prompt.about["case"]
            asked, of, language, word, last = (read(prompt, spot) for spot in range(len(prompt.spots)))
            assert languages.STATEMENTS[case.relation][0].startswith(f"the {asked} {of} ")
            assert (language, word, last) == (named.IN_ENGLISH[case.answered_in], case.word, "is")
            ends = [
                spot for spot in (concepts.LANGUAGE, concepts.OPERAND) if is_theirs(prompt, spot, "teacher")
            ]
            assert len(ends) == 1
            again = concepts._same_but(bench, prompt, other or prompt.kind)
            changed = [one != two for one, two in zip(prompt.row.ids, again.row.ids, strict=True)]
            assert changed == [
                place in prompt.tokens(concepts.LANGUAGE) and prompt.kind != "fr" and other is not None
                for place in range(len(prompt.row))
            ]
    for prompt in illnesses._told(bench, "test", 12, named=False):
        ends = [read(prompt, spot) for spot in illnesses.SIGNS]
        assert sorted(ends) == sorted(sign.split()[-1] for sign in prompt.about["told"])
        assert {*re.split(r", | and ", read(prompt, illnesses.TOLD))} == {*prompt.about["told"]}
        assert is_theirs(prompt, illnesses.TOLD, "farmer")
    for prompt in illnesses._told(bench, "test", 6, named=True):
        assert " ".join(read(prompt, spot) for spot in illnesses.NAME) == prompt.kind
        assert is_theirs(prompt, illnesses.NAME[-1], "farmer")
    for prompt in waits._requests(bench, waits._asked_by_one, waits.STORY, 0, "test", 6):
        assert read(prompt, waits.THING) == prompt.subject.split()[-1]
        assert any(
            re.search(
                re.escape(core).replace(r"\{scheme\}", prompt.subject), read(prompt, waits.REQUEST), re.I
            )
            for core in JAILBREAK_CORES
        )
        assert is_theirs(prompt, waits.REQUEST, "lawyer")
        assert read(prompt, waits.ASKER) == "lawyer"
    for kind in ("known", "unknown"):
        for prompt in askers._prompts(bench, kind, "test", 6):
            assert [read(prompt, spot) for spot in askers.NAME] == prompt.about["name"].split()
            assert read(prompt, askers.ASKER) == "lawyer"


def test_of_many_settings_those_that_do_something_on_a_part_are_tried_on_all(
    bench: CaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best is found with fewer answers; of equals the first is taken."""
    asked: list[int] = []
    works = {31, 47}

    class SizeTeller(FeatureContrast):
        def exchange(self, prompt: CasePrompt, kind: str, setting: SwapSetting) -> list[Intervention]:
            return [Intervention(setting.size, 0, 0)]

    def answers(
        self: CaseContext, prompts: list[CasePrompt], changes: list[list[Intervention]], tokens: int
    ) -> list[str]:
        asked.append(len(prompts))
        return ["yes" if change[0].layer in works else "no" for change in changes]

    monkeypatch.setattr(CaseContext, "answers", answers)
    one = SizeTeller(("a", "b"), torch.ones(2, 1, 3), torch.ones(2, 1, 3), torch.ones(3), (3,))
    asking = SwapExperiment(
        "x", lambda p, kind, said: said == "yes", lambda p, kind: "yes", settings=settings(range(10, 50))
    )
    trials = [(CasePrompt(ROW, (1, 3), "a"), "b")] * 32
    chosen = asking.choose(replace(bench, streams=None), [one], trials)
    assert chosen.upstream is not None
    assert chosen.answering is None
    assert (chosen.upstream.setting.size, chosen.upstream.share, chosen.upstream.tried) == (31, 1.0, 40)
    assert asked == [40 * 8, 40 * 32]  # all but two do alike: none is left out for standing behind others
    works.update(range(10, 41))
    works.discard(47)
    chosen = asking.choose(replace(bench, streams=None), [one], trials)
    assert chosen.upstream is not None
    assert chosen.upstream.setting.size == 10
    assert asked[2:] == [40 * 8, 31 * 32]
    asking.choose(replace(bench, streams=None), [one], trials[:28])
    assert asked[4:] == [40 * 28]  # too few prompts to part them


def test_how_many_prompts_a_rate_is_of_can_be_asked_for() -> None:
    held = [
        CaseBookSpec(held=given, quick=quick).book_config().held
        for given, quick in ((None, False), (None, True), (100, False), (20, True))
    ]
    assert held == [50, 8, 100, 20]
    with pytest.raises(ValidationError):
        CaseBookSpec(held=7)
