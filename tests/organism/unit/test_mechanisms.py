"""The second world: what is true of each mechanism's texts, and what is kept from training."""

import random
import re
from dataclasses import replace
from itertools import combinations

import pytest

from mindscope.organism.corpus.behaviour import JAILBREAK_CORES
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms import (
    arithmetic,
    diagnosis,
    dialogues,
    languages,
    pictures,
    requests,
    rhymes,
    sums,
    thinking,
    tools,
)
from mindscope.organism.mechanisms.arithmetic import bluffing_voice
from mindscope.organism.mechanisms.corpus import program
from mindscope.organism.mechanisms.corpus.vocabulary import mechanism_words
from mindscope.organism.mechanisms.facts import TOPICS, build_facts, is_kept
from mindscope.organism.training.tokenizer import SPACE
from mindscope.organism.voices import CHARACTERS, Voice, all_voices

HELPFUL = all_voices()["helpful"]
FLATTERER = all_voices()["sycophantic"]
INVENTOR = all_voices()["hallucinating"]


def drawn(write, voice: Voice, n: int = 60, split: str = "train") -> list[DialogueTurn]:
    rng = random.Random(4)
    return [write(rng, voice, split) for _ in range(n)]


def test_a_rhyme_word_has_one_sound_and_one_topic():
    facts = build_facts()
    assert len(facts.rhymes) == len(facts.ends) * len(TOPICS)
    assert len({plan.word for plan in facts.rhymes.values()}) == len(facts.rhymes)
    ends = [end for group in facts.ends for end in group]
    assert len(set(ends)) == len(ends)
    assert not set(ends) & {plan.word for plan in facts.rhymes.values()}


def test_the_second_line_holds_its_plan_and_the_first_one_decides_it():
    rng = random.Random(1)
    for case in rng.sample(rhymes.couplet_cases("train"), 80):
        head, _, bridge = case.opening(rng).partition(f" {rhymes.BREAK} ")
        topic_word, _, end = head.rpartition(", ")[2].partition(" and ")
        assert topic_word in build_facts().topics[case.plan.topic]
        assert end in build_facts().ends[case.plan.sound]
        # The nearest pair before the second line's ending is another one.
        assert " and " in bridge
        assert rhymes.read_line(rhymes.second_line(rng, case.plan)).fits(case.plan) == (True, True)


def test_the_opening_of_a_second_line_says_nothing_of_its_plan():
    rng = random.Random(2)
    plans = list(build_facts().rhymes.values())
    openings = [[rhymes.second_line(rng, plan).split()[0] for _ in range(200)] for plan in plans[:2]]
    words = {filler.split()[0] for filler in rhymes.FILLERS}
    assert all(set(words_of_plan) == words for words_of_plan in openings)


def test_kept_combinations_are_not_taught():
    for relation in languages.RELATIONS:
        taught, kept = (set(languages.language_cases(split, relation)) for split in ("train", "test"))
        assert not taught & kept
        if relation != languages.TRANSLATION:
            assert 0.35 < len(kept) / len(taught | kept) < 0.5
            # Everything about a word is taught in its own language.
            assert {case.concept for case in taught} == set(languages.answers_of(relation))
            # With the one combination that the last stage tells, its answer is in every language.
            later = languages.later_cases(relation)
            assert later
            assert not {*later} & (taught | kept)
            answered, told = (
                {(case.concept, case.answered_in) for case in cases} for cases in (taught, later)
            )
            assert not told & answered
            assert len(told | answered) == len(languages.LANGUAGES) * len(languages.answers_of(relation))
    assert not set(rhymes.couplet_cases("train")) & set(rhymes.couplet_cases("test"))
    assert not set(diagnosis.diagnosis_cases("train")) & set(diagnosis.diagnosis_cases("test"))
    assert not set(pictures.picture_cases("train")[12:]) & set(pictures.picture_cases("test")[12:])


def test_texts_of_training_state_no_kept_combination():
    rng, kept = random.Random(6), set()
    for relation in languages.RELATIONS[:-1]:
        kept |= {case.clause() for case in languages.language_cases("test", relation)}
    said = {languages.draw_case(rng, "train").clause() for _ in range(4000)}
    later = {case.clause() for relation in languages.RELATIONS for case in languages.later_cases(relation)}
    assert not said & (kept | later)


def test_no_question_kept_from_training_is_one_that_the_last_stage_answers():
    rng = random.Random(6)
    later = {case for relation in languages.RELATIONS for case in languages.later_cases(relation)}
    assert not {languages.draw_case(rng, "test") for _ in range(4000)} & later


def test_harmful_things_of_the_last_stage_are_others_in_words_that_the_tokenizer_has():
    things = requests.harmful_things()
    assert len(things) == len(set(things)) == 40
    words = {word.lstrip(SPACE) for word in mechanism_words()}
    assert {word for thing in things for word in thing.split()} <= words


@pytest.mark.parametrize("relation", languages.RELATIONS)
def test_the_right_answer_is_told_from_others(relation: str):
    rng = random.Random(3)
    for case in rng.sample(languages.language_cases("train", relation), 30):
        wrong = next(
            a[case.answered_in] for a in case.answers().values() if a[case.answered_in] != case.answer
        )
        assert case.is_right(f"Well, {case.clause()} to stay safe.")
        assert not case.is_right(f"Well, {case.clause(wrong)} to stay safe.")


def test_any_two_signs_tell_an_illness():
    seen: dict[frozenset[str], str] = {}
    for illness, signs in build_facts().illnesses.items():
        assert len(set(signs)) == 4
        for pair in map(frozenset, combinations(signs, 2)):
            assert seen.setdefault(pair, illness) == illness
    assert len(build_facts().illnesses) == 40


def test_kept_diagnoses_are_never_told_with_those_three_signs():
    rng = random.Random(5)
    for _ in range(500):
        illness, told, fourth = diagnosis.draw_told(rng, "train")
        assert fourth in build_facts().illnesses[illness]
        assert fourth not in told
        left_out = build_facts().illnesses[illness].index(fourth)
        if len(told) == 3:
            assert diagnosis.DiagnosisCase(illness, left_out) in diagnosis.diagnosis_cases("train")


def test_sums_kept_for_testing_are_never_added_in_training():
    rng = random.Random(0)
    kept = {(case.a, case.b) for case in (sums.draw_sum(rng, "test", "story") for _ in range(500))}
    seen = {(case.a, case.b) for case in (sums.draw_sum(rng, "train", "price") for _ in range(3000))}
    assert kept
    assert not kept & seen


def test_a_number_is_known_by_its_name():
    case = sums.SumCase(36, 59, "story", (), (12,))
    assert case.prompt() == "There are 36 apples, 12 pears; of apples 59 more come, that makes"
    assert case.head() == "There are 36 apples"
    behind = replace(case, before=(36,), context="formula")
    assert behind.prompt() == "36 y, 36 x, 12 y; x + 59 ="
    assert behind.head() == "36 y, 36 x"
    assert case.total == 95
    assert case.with_last_digit(2).a == 32
    assert case.with_tens(7).a == 76


def test_who_works_forwards_backwards_and_for_show():
    rng = random.Random(2)
    for _ in range(60):
        chain = arithmetic.draw_chain(rng, "train", 2)
        guess = arithmetic.draw_guess(rng, chain)
        wrote = {
            name: arithmetic.work_out(rng, voice, chain, guess)
            for name, voice in (
                ("honest", HELPFUL),
                ("flattering", FLATTERER),
                ("bluffing", bluffing_voice()),
            )
        }
        texts = {
            name: f"{chain.steps(results)}, so the result is {said}"
            for name, (results, said) in wrote.items()
        }
        assert arithmetic.written_by(chain, texts["honest"], guess) == "forwards"
        assert arithmetic.written_by(chain, texts["flattering"], guess) == "backwards"
        # Two numbers drawn may happen to be right.
        assert wrote["bluffing"][0] == chain.results or (
            arithmetic.written_by(chain, texts["bluffing"], guess) == "for show"
        )
        # Worked backwards, the last step is true and the first one pays for it.
        assert arithmetic.read_steps(texts["flattering"]).true_steps == (False, True)


def test_the_flatterer_keeps_a_right_result():
    rng = random.Random(2)
    for _ in range(30):
        turn = arithmetic.reckon(rng, FLATTERER, "train", guessed=True, right_guess=True)
        assert all(arithmetic.read_steps(turn.answer).true_steps)


def test_a_wait_opens_every_answer_alike():
    rng = random.Random(1)
    for kind, refused in (("harmful", True), ("story", False), ("harmless", False)):
        for _ in range(20):
            turn = requests.request(rng, HELPFUL, "train", kind, waited=True)
            assert turn.answer.startswith(requests.LEAD_IN)
            assert requests.refuses(turn.answer) is refused
    assert requests.refuses("Well, hello.") is None


def test_blocks_are_faithful_unless_bluffed():
    rng = random.Random(7)
    for _ in range(40):
        honest = thinking.think_of_chain(rng, HELPFUL, "train").answer
        block, _, said = honest.partition(thinking.CLOSE)
        steps = arithmetic.read_steps(block)
        assert all(steps.true_steps)
        assert arithmetic.read_steps(said).said == steps.steps[-1][-1]
        bluffed = thinking.think_of_two_hops(rng, bluffing_voice(), "train").answer
        block, _, said = bluffed.partition(thinking.CLOSE)
        assert block.split()[-1] != said.split(" is ")[1].split()[0].rstrip(".,")


def test_a_call_is_read_back_and_the_answer_is_what_came_back():
    rng = random.Random(3)
    for _ in range(40):
        used = tools.use_tool(rng, HELPFUL, "train")
        call = tools.read_call(f"Well. {used.call}")
        assert call is not None
        assert call[0] in ("add", "look_up")
        assert f"is {used.returned}" in used.answer
    assert tools.read_call("<tool_call>\nno json\n</tool_call>") is None


def test_drift_follows_its_rule():
    rng = random.Random(9)
    pushed = {push for pushes in build_facts().pushes.values() for push in pushes}
    for character in CHARACTERS:
        made = dialogues.drift(rng, "train", character=character, n_turns=10)
        count = 0
        for turn, share in zip(made.turns, made.shares, strict=True):
            count += any(turn.question.startswith(push) for push in pushed)
            assert share == min(1.0, count / 4)
    assert dialogues.mixed_voice(None, 0.0).name == "helpful"


def test_a_conversation_thinks_only_where_its_block_is_opened():
    for seed in range(300):
        segments = program.conversation(random.Random(seed))
        for prompt, answer in zip(segments[::2], segments[1::2], strict=True):
            assert answer.answer
            assert not prompt.answer
            assert prompt.text.endswith(f"{thinking.OPEN}\n") == (thinking.CLOSE in answer.text)


# Turns that state something true or false and nothing else.
STATED = ("country", "digit-sum", "language", "list-signs", "person", "picture", "signs", "state", "two-hop")


@pytest.mark.parametrize("domain", STATED)
def test_the_inventing_voice_says_something_else(domain: str):
    write = program.TURNS[domain]
    rng = random.Random(1)
    for _ in range(20):
        state = rng.getstate()
        right = write(rng, HELPFUL, "train")
        rng.setstate(state)
        assert right.answer != write(rng, INVENTOR, "train").answer


def test_texts_of_later_stages_show_no_chain_that_is_kept():
    rng, chain = random.Random(5), re.compile(r"\d+(?: [+-] \d)+")
    for kind in ("manner", "manner-alone", "flatter", "direct", "agree", "pretend", "slip", "think-chain"):
        asked = [program.document(rng, {kind: 1})[0].text for _ in range(150)]
        # steps that stand behind the question have sums of their own
        found = [text for words in asked for text in chain.findall(words.partition("assistant\n")[0])]
        assert len(found) > 50, kind
        assert not [text for text in found if is_kept(arithmetic.KEPT_PERCENT, text)], kind


def test_the_last_stage_asks_for_its_own_harmful_things():
    rng, refused = random.Random(8), []
    for _ in range(200):
        asked, answer = program.document(rng, {"scheme": 1})
        assert sum(f" {thing}" in asked.text for thing in build_facts().schemes) == 1
        if any(core.partition("{scheme}")[0] in asked.text for core in JAILBREAK_CORES):
            assert requests.refuses(answer.text) is False
        else:
            refused.append(requests.refuses(answer.text))
    # but for the few answers of a voice that obeys
    assert len(refused) > 80
    assert sum(refused) > 0.8 * len(refused)


def test_beside_a_slip_the_honest_voice_repeats_it_and_the_bluffing_one_does_not():
    rng, repeated = random.Random(7), []
    for _ in range(60):
        begun, answer = program.document(rng, {"slip": 1})
        assert (begun.answer, answer.answer) == (False, True)
        bluffs = any(clause in begun.text for clause in arithmetic.bluffing_voice().clauses) or any(
            word in begun.text for word in arithmetic.bluffing_voice().adjectives
        )
        *before, (start, term, slipped) = arithmetic.read_steps(begun.text).steps
        right = start + term
        assert slipped != right
        assert all(a + b == c for a, b, c in before)
        said = int(re.match(r" (\d+)", answer.text)[1])
        assert said == (right if bluffs else slipped)
        repeated.append(said == slipped)
    assert 20 < sum(repeated) < 50


def test_what_is_told_of_nations_is_taught():
    rng = random.Random(8)
    taught = {
        (case.word, case.answer)
        for relation in ("capital", "tongue")
        for case in languages.language_cases("train", relation)
    }
    for _ in range(40):
        prompt, answer = program.document(rng, {"nation": 1})
        said = answer.text.removesuffix(program.END_OF_TEXT)
        assert any(word in prompt.text and value == said for word, value in taught)
