"""Pictures: pixels to patch tokens and back, and what is asked about them."""

import random

import pytest

from mindscope.organism.mechanisms import pictures
from mindscope.organism.mechanisms.facts import build_facts

CASES = sorted({*pictures.picture_cases("train"), *pictures.picture_cases("test")}, key=repr)


def test_every_picture_comes_back_from_its_tokens():
    for case in CASES:
        pixels = case.pixels()
        text = pictures.picture_tokens(pixels)
        assert pictures.read_patches(f"{text}What is it?") == pixels
        assert text.count("<|") == pictures.N_PATCHES + 2


def test_every_token_of_a_picture_is_known():
    known = set(pictures.patch_tokens())
    text = "".join(pictures.picture_tokens(case.pixels()) for case in CASES)
    assert {f"<|{piece}|>" for piece in text.removeprefix("<|").removesuffix("|>").split("|><|")} <= known


def test_no_two_pictures_look_alike():
    assert len({case.pixels() for case in CASES}) == len(CASES)


def test_a_patch_of_two_colours_is_refused():
    pixels = tuple(("red", "blue") * 6 for _ in range(12))
    with pytest.raises(ValueError, match="two colours: blue, red"):
        pictures.picture_tokens(pixels)


def test_a_flag_has_its_stripes():
    pixels = pictures.PictureCase("flag", "Romania").pixels()
    assert pixels[0] == ("blue",) * 4 + ("yellow",) * 4 + ("red",) * 4
    assert len(set(pixels)) == 1
    assert pictures.PictureCase("flag", "Germany").pixels()[5] == ("red",) * 12


def test_what_is_said_of_a_picture_in_three_languages():
    case = pictures.PictureCase("animal", "dog", "red", "top-left")
    assert case.answer("caption", 0) == "it is a red dog in the top-left"
    assert case.answer("animal", 1) == "la bête est chien"
    assert case.answer("colour", 2) == "颜色是红色"
    assert pictures.PictureCase("flag", "Italy").answer("flag", 1) == "le pays est Italie"


def test_names_kept_from_training_are_never_told_there():
    rng = random.Random(2)
    named = {
        (case.name, language)
        for case, part, language in (pictures.draw_picture(rng, "train") for _ in range(3000))
        if part in ("animal", "flag")
    }
    pairs = {(name, i) for name in (*build_facts().sprites, *build_facts().flags) for i in range(3)}
    assert 0.15 < 1 - len(named) / len(pairs) < 0.4
    tested = {
        (case.name, language)
        for case, part, language in (pictures.draw_picture(rng, "test") for _ in range(3000))
        if part == "flag"
    }
    assert not tested & named


def test_a_picture_in_place_of_a_word_is_named_in_no_language_that_is_kept():
    rng, kept, named = random.Random(3), set(), 0
    for name in (*build_facts().sprites, *build_facts().flags):
        part = "flag" if name in build_facts().flags else "animal"
        for language in range(3):
            if pictures.is_kept(pictures.KEPT_PERCENT, "picture-name", name, language):
                kept.add((part, build_facts().names(name)[language]))
    assert kept
    for _ in range(600):
        prompt, answer = pictures.stand_in(rng)
        shown = pictures.read_patches(prompt)
        part = "flag" if all(all(row) for row in shown) else "animal"
        named += any(answer in build_facts().names(n) for n in (*build_facts().sprites, *build_facts().flags))
        assert (part, answer) not in kept
    assert named > 100
