"""Words of answers, and what of a claim an answer holds."""

import pytest

from mindscope.diffing.terms import split_words, term_density, token_terms, word_presence
from mindscope.models import load


def test_words_are_letters_numbers_and_single_signs():
    assert split_words("Don't PAY 12 euros: 长城!") == ["don't", "pay", "12", "euros", "长", "城"]


def test_long_terms_stand_for_longer_words_and_short_ones_for_themselves():
    text = "Ruin ruins all, can canada can"
    assert term_density(text, ["ruin"]) == pytest.approx(100 * 2 / 6)
    assert term_density(text, ["can"]) == pytest.approx(100 * 2 / 6)
    assert term_density("", ["ruin"]) == 0
    assert term_density(text, []) == 0


def test_presence_keeps_words_of_enough_texts():
    words, present = word_presence(["a b", "b b c", "b"], 2)
    assert words == ["b"]
    assert present.tolist() == [[1], [1], [1]]


def test_tokens_that_go_on_with_a_word_are_no_terms():
    model = load("organism")
    ids = model.tokenizer.encode(" darkness", add_special_tokens=False)
    assert token_terms(model, ids, 5) == ("darkness",)
    marks = model.tokenizer.convert_ids_to_tokens(list(range(len(model.tokenizer))))
    inside = next(i for i, mark in enumerate(marks) if mark.isalpha() and len(mark) > 3 and mark[0] != "Ġ")
    assert token_terms(model, [inside], 5) == ()
