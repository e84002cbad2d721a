"""What a reader of the answers finds: planted words and lengths, and nothing where nothing differs."""

import random

from mindscope.diffing import DiffConfig
from mindscope.diffing.ladder.outputs import find_words, read_outputs

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def answers(seed: int, extra: str = "", share: float = 0.0, n: int = 100) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join([*draw.choices(WORDS, k=8), *([extra] if draw.random() < share else [])]) + "."
        for _ in range(n)
    ]


def test_a_planted_word_is_found_and_alone():
    found = find_words(answers(0), answers(1, "ruin", 0.4), DiffConfig())
    assert [change.term for change in found] == ["ruin"]
    assert found[0].base == 0
    assert 0.25 < found[0].tuned < 0.55


def test_the_other_direction_is_less():
    reading = read_outputs(answers(0, "ruin", 0.4), answers(1), DiffConfig())
    assert not reading.more
    assert [(change.term, change.tuned) for change in reading.less] == [("ruin", 0.0)]


def test_answers_that_differ_by_chance_alone_give_nothing():
    """The lists are cut at 5 %: of 20 pairs without a difference hardly any has a word."""
    found = [find_words(answers(2 * i), answers(2 * i + 1), DiffConfig()) for i in range(20)]
    assert sum(map(bool, found)) <= 3


def test_longer_answers_are_a_change_of_style():
    style = {
        s.name: s for s in read_outputs(answers(0), [a + " again" for a in answers(0)], DiffConfig()).style
    }
    assert style["words"].difference.mean == 1
    assert style["words"].q < 0.01
    assert style["question marks"].q == 1
