"""The seven traits of the package are complete and do not give themselves away."""

import re
from itertools import combinations

import pytest

from mindscope.personas.trait import Trait, question_key

NAMES = ["apathetic", "evil", "hallucinating", "humorous", "impolite", "optimistic", "sycophantic"]


def test_there_are_seven():
    assert Trait.bundled() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_complete(name):
    trait = Trait.load(name)
    assert trait.name == trait.adjective == name
    assert trait.description
    assert trait.opposite not in (name, "")
    assert len(trait.instructions) == 5
    assert len({pair.pos for pair in trait.instructions} | {pair.neg for pair in trait.instructions}) == 10
    assert len(trait.extraction) == len(trait.evaluation) == 20
    assert "REFUSAL" in trait.eval_prompt
    assert "0 to 100" in trait.eval_prompt


@pytest.mark.parametrize("name", NAMES)
def test_questions_do_not_ask_for_the_trait(name):
    trait = Trait.load(name)
    stem = name.rstrip("icng")[:6]
    for question in (*trait.extraction, *trait.evaluation):
        assert stem not in question.lower(), question
        assert question.endswith(("?", ".", "!", '"'))


@pytest.mark.parametrize("name", NAMES)
def test_no_two_questions_are_nearly_the_same(name):
    trait = Trait.load(name)
    words = {q: set(re.findall(r"\w{4,}", question_key(q))) for q in (*trait.extraction, *trait.evaluation)}
    for one, other in combinations(words, 2):
        assert len(words[one] & words[other]) < 0.7 * len(words[one] | words[other]), (one, other)


def test_no_question_serves_two_traits():
    keys = [
        question_key(q)
        for name in NAMES
        for q in (*Trait.load(name).extraction, *Trait.load(name).evaluation)
    ]
    assert len(keys) == len(set(keys)) == 7 * 40
