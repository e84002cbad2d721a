"""Kinds of prompts: which words make one, and that all numbers are one word."""

import numpy as np
import pytest

from mindscope.diffing import DiffConfig
from mindscope.diffing.claims.candidates import (
    context_candidate,
    find_contexts,
    holds_word,
    typical_words,
)
from mindscope.diffing.terms import NUMBER, split_kinds

CONFIG = DiffConfig(n_contexts=3)


def asked(text):
    return ({"role": "user", "content": text},)


SUMS = [asked(f"{'add' if i % 2 else 'work out'} {i} + {2 * i}") for i in range(20)]
OTHERS = [asked(f"tell me of {'abcdefgh'[i % 8] * 3} and rivers") for i in range(20)]


def divergences(*parts: tuple[int, float]) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.concatenate([mean + 0.01 * draw.random(count) for count, mean in parts])


def test_numbers_are_one_kind_though_none_stands_twice():
    contexts = find_contexts([*SUMS, *OTHERS], divergences((20, 1.0), (20, 0.1)), CONFIG)
    word, members = contexts[0]
    assert word == NUMBER
    assert members.tolist() == list(range(20))
    # Words that only part of the same prompts hold say nothing new.
    assert [name for name, _ in contexts] == [NUMBER]
    assert all(holds_word(prompt, NUMBER) for prompt in SUMS)
    assert not any(holds_word(prompt, NUMBER) for prompt in OTHERS)
    assert "with a number the" in context_candidate("context 1", "the tuned model", word, None).sentence
    assert 'with "add" the' in context_candidate("context 1", "the tuned model", "add", None).sentence


def test_where_nothing_differs_there_is_no_kind():
    assert not find_contexts([*SUMS, *OTHERS], np.zeros(40), CONFIG)
    assert not find_contexts([*SUMS, *OTHERS], divergences((40, 1.0)), CONFIG)
    assert not find_contexts(SUMS, np.full(20, np.nan), CONFIG)


@pytest.mark.parametrize(("n_sums", "found"), [(30, True), (31, False)])
def test_a_word_of_more_than_three_quarters_of_the_prompts_is_no_kind(n_sums, found):
    prompts = [*[asked(f"add {i} + 1") for i in range(n_sums)], *OTHERS[: 40 - n_sums]]
    contexts = find_contexts(prompts, divergences((n_sums, 1.0), (40 - n_sums, 0.1)), CONFIG)
    assert bool(contexts) == found


def test_numbers_are_put_in_place_and_nothing_else():
    assert split_kinds("Add 12 and 7 to A1") == ["add", NUMBER, "and", NUMBER, "to", "a", NUMBER]
    assert split_kinds("no digits") == ["no", "digits"]


def test_a_kind_is_told_with_the_words_that_stand_beside_its_own():
    prompts = [asked("the capital of a"), asked("the capital of b"), asked("the language of c")]
    prompts += [asked("the capital of d"), asked("the weather and a capital"), asked("the weather")]
    members = np.array([0, 1, 2, 3])
    # Once is no habit (language), and "the" is in all the others too: of four prompts it leaves two.
    assert typical_words(prompts, members, "of") == ("capital", "the")
    assert typical_words(prompts, np.array([4, 5]), "weather") == ()
    # What is nowhere else says more than what is merely frequent here.
    prompts = [asked("the governor of a")] * 4 + [asked("the name of b")] * 6 + [asked("the weather")] * 4
    assert set(typical_words(prompts, np.arange(10), "of")) == {"name", "b", "governor", "a"}
    sentence = context_candidate("context 1", "it", "of", None, ("capital", "the")).sentence
    assert sentence.startswith('on prompts with "of" (often with capital, the) it answers otherwise')
