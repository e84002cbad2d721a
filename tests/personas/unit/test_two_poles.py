"""Traits out of two words."""

import pytest

from mindscope.errors import DataError
from mindscope.jobs.resolve import find_trait
from mindscope.personas import Trait, names_two_poles, trait_of_name, trait_of_two_poles


def test_both_words_stand_where_they_belong():
    trait = trait_of_two_poles("impatient / calm and patient")
    assert (trait.name, trait.adjective, trait.opposite) == ("impatient", "impatient", "calm and patient")
    assert trait.system_prompt("pos", 0).startswith("You are an impatient assistant. ")
    assert trait.system_prompt("neg", 0).startswith("You are a calm and patient assistant. ")
    for pair in trait.instructions:
        assert "impatient" in pair.pos
        assert "calm and patient" not in pair.pos
        assert pair.neg == pair.pos.replace("an impatient", "a calm and patient").replace(
            "impatient", "calm and patient"
        )
    assert "{trait}" not in trait.eval_prompt
    assert trait.rubric().fill("Q?", "A.").count("Q?") == 1


def test_it_has_the_papers_numbers_of_instructions_and_questions():
    trait = trait_of_two_poles("patient / impatient")
    assert len(trait.instructions) == 5
    assert len(trait.questions("extraction")) == len(trait.questions("evaluation")) == 20


def test_its_questions_are_not_those_of_a_bundled_trait():
    """Otherwise a vector could be measured on questions that it was extracted with under another name."""
    own = set(trait_of_two_poles("patient / impatient").extraction)
    for name in Trait.bundled():
        bundled = Trait.load(name)
        assert not own & {*bundled.extraction, *bundled.evaluation}


@pytest.mark.parametrize("text", ["patient / ", " / impatient", "calm / Calm", "a / b / c"])
def test_what_is_not_two_words_is_refused(text):
    assert names_two_poles(f" {text} ") or text in ("patient / ", " / impatient")
    with pytest.raises(DataError, match="is written 'patient / impatient'"):
        trait_of_two_poles(text)


def test_a_path_is_not_two_words():
    assert not names_two_poles("traits/patient.yaml")


def test_commands_take_two_words():
    assert find_trait("patient / impatient", "organism").adjective == "patient"


def test_a_name_with_a_description_explains_itself_on_both_sides():
    trait, plain = trait_of_name("risk-seeking", "It likes  {big} chances."), trait_of_name("risk-seeking")
    explained = "By risk-seeking is meant: It likes {big} chances."
    for made, bare in zip(trait.instructions, plain.instructions, strict=True):
        assert (made.pos, made.neg) == (f"{bare.pos} {explained}", f"{bare.neg} {explained}")
    assert trait.description == "It likes {big} chances."
    assert trait.eval_prompt.startswith("By risk-seeking is meant: It likes (big) chances.")
    assert trait.eval_prompt.endswith(plain.eval_prompt)
    assert trait.extraction == plain.extraction
    assert trait_of_name("risk-seeking", " ") == plain
