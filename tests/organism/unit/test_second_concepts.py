"""The second world's concepts: what its texts show is so."""

from collections import Counter

import pytest

from mindscope.errors import DataError
from mindscope.organism import MODES, drawn_things, second_concept_texts, second_concepts
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.pictures import BEGIN
from mindscope.organism.mechanisms.requests import refuses


def test_no_text_is_in_both_halves_and_all_show_known_concepts():
    halves = [second_concept_texts(half, scale=0.2) for half in ("train", "test")]
    keys = [{(text.messages[-1]["content"], text.answer) for text in half} for half in halves]
    assert not keys[0] & keys[1]
    names = {concept.name for concept in second_concepts()}
    assert len(names) == len(second_concepts()) > 350
    for text in (*halves[0], *halves[1]):
        assert text.concepts <= names


def test_every_concept_is_shown_in_both_halves():
    for half in ("train", "test"):
        counts = Counter(name for text in second_concept_texts(half) for name in text.concepts)
        assert min(counts[concept.name] for concept in second_concepts()) >= 2


def test_a_thing_is_named_or_drawn_as_the_text_says():
    words = {concept[0]: concept for relation in build_facts().relations.values() for concept in relation}
    shown = Counter()
    for text in second_concept_texts("test", scale=0.3):
        question = text.messages[-1]["content"]
        (mode, *none) = [m for m in MODES if f"shown by: {m}" in text.concepts] or [""]
        assert not none
        assert (mode == "picture") == (BEGIN in question)
        things = [name.removeprefix("thing: ") for name in text.concepts if name.startswith("thing: ")]
        assert len(things) <= 1
        for thing in things:
            shown[mode] += 1
            if mode != "picture":
                assert words[thing][MODES.index(mode) - 1].lower() in question.lower()
    assert min(shown[mode] for mode in MODES) > 20


def test_refusals_are_where_the_answer_refuses():
    for text in second_concept_texts("train", scale=0.3):
        if any(name.startswith("request: ") for name in text.concepts):
            assert refuses(text.answer) == ("answer: refuses" in text.concepts)


def test_drawn_things_have_pictures_and_words_of_their_own():
    animals, countries = drawn_things()
    assert len(animals) >= 8
    assert len(countries) >= 12
    for thing in (*animals, *countries):
        assert len({*build_facts().names(thing)}) == 3


def test_what_is_no_half_is_refused():
    with pytest.raises(DataError, match="neither half"):
        second_concept_texts("both")
    with pytest.raises(DataError, match="neither half"):
        second_concept_texts("test", phrasings="other")
