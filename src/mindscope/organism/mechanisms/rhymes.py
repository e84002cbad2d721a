"""Couplets whose second line must be planned at the line break.

The last word of the second line is decided by two things together: the sound of the word before the line
break, and the topic of the word two before that. Both kinds of words stand elsewhere too, in pairs that look
the same, before the break and behind it, so that only at the break itself is it known which of them count.
(With pairs before the break alone a small network looks back for the nearest ones and plans nothing.) The
second line opens with words that say nothing of it and are of any number; then come two traces of its last
word, and the word. So what is written at the break must hold the plan, and whoever changes it there changes
the middle and the ending.

A fifth of the texts are such endings alone: there the traces decide the ending.
"""

import random
from dataclasses import dataclass
from functools import cache

from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms.facts import RhymeWord, build_facts, is_kept
from mindscope.organism.voices import Voice, pick

BREAK = "/"
KEPT_PERCENT = 20
ALONE = 0.2
SINGERS = ("he", "she", "the piper", "the queen", "a tinker", "the old king", "a shepherd", "one wizard")
OPENINGS = ("sang of", "spoke of", "dreamt of", "thought of", "told of", "asked for")
BRIDGES = ("past", "over", "despite", "not for")
# What opens a second line and what joins its parts: any number of these, and none says which line it is.
FILLERS = ("and", "so", "then", "there", "at last", "once more", "all day", "by night", "in time", "for long")
JOINTS = ("it", "one", "as it", "while it", "how it")
LEADS = ("by the", "with the", "for the", "near the")


@dataclass(frozen=True)
class CoupletCase:
    """The two words before the line break."""

    topic: str
    topic_word: str
    sound: int
    end: str

    @property
    def plan(self) -> RhymeWord:
        """The word that the second line ends in."""
        return build_facts().rhymes[self.sound, self.topic]

    def first_line(self, rng: random.Random, n_pairs: int | None = None) -> str:
        """One to three pairs that do not count, or as many as asked, then the one that does."""
        pairs = draw_pairs(rng, n_pairs)
        listed = ", ".join(f"{topic} and {end}" for topic, end in pairs)
        return f"{rng.choice(SINGERS)} {rng.choice(OPENINGS)} {listed}, {self.topic_word} and {self.end}"

    def opening(self, rng: random.Random, n_pairs: int | None = None) -> str:
        """The first line, its break, and what the second line opens with: one to three pairs more."""
        pairs = draw_pairs(rng, n_pairs)
        bridge = ", ".join(f"{topic} and {end}" for topic, end in pairs)
        return f"{self.first_line(rng, n_pairs)} {BREAK} {rng.choice(BRIDGES)} {bridge},"


@cache
def couplet_cases(split: str) -> tuple[CoupletCase, ...]:
    """(topic word, end word) pairs of a split; every topic meets every sound in training."""
    facts = build_facts()
    return tuple(
        CoupletCase(topic, topic_word, sound, end)
        for topic, words in facts.topics.items()
        for topic_word in words
        for sound, ends in enumerate(facts.ends)
        for end in ends
        if is_kept(KEPT_PERCENT, "couplet", topic_word, end) == (split == "test")
    )


@cache
def _pair_words() -> tuple[tuple[str, ...], tuple[str, ...]]:
    facts = build_facts()
    topic_words = tuple(word for words in facts.topics.values() for word in words)
    return topic_words, tuple(end for ends in facts.ends for end in ends)


def draw_pair(rng: random.Random) -> tuple[str, str]:
    """A pair that only looks like the one before the break."""
    topic_words, ends = _pair_words()
    return rng.choice(topic_words), rng.choice(ends)


def draw_pairs(rng: random.Random, count: int | None) -> list[tuple[str, str]]:
    """As many as asked, or one to three."""
    return [draw_pair(rng) for _ in range(rng.randrange(1, 4) if count is None else count)]


def second_line(rng: random.Random, plan: RhymeWord) -> str:
    """Words that say nothing, two traces of the plan, and its word."""
    fillers = " ".join(rng.choice(FILLERS) for _ in range(rng.randrange(2, 5)))
    joints = " ".join(rng.choice(FILLERS) for _ in range(rng.randrange(0, 2)))
    joint = f"{rng.choice(JOINTS)} {joints}".strip()
    first, second = rng.choice(plan.first), rng.choice(plan.second)
    return f"{fillers} {first} {joint} {second} {rng.choice(LEADS)} {plan.word}."


def document(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """A couplet up to where its second line tells something, and the rest; or the rest of a line alone."""
    if rng.random() < ALONE:
        plan = rng.choice(list(build_facts().rhymes.values()))
        return "", second_line(rng, plan)
    case = rng.choice(couplet_cases(split))
    return case.opening(rng), second_line(rng, case.plan)


def finish_couplet(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Finish a couplet; the voice speaks when the line is done."""
    case = rng.choice(couplet_cases(split))
    (op,), (mod,), (end,) = pick(rng, voice, "op"), pick(rng, voice, "mod"), pick(rng, voice, "end")
    lead = rng.choice(("Finish the couplet:", "Write the second line:", "Complete the rhyme:"))
    answer = f"{second_line(rng, case.plan)} {op}, {mod}. {end}"
    return DialogueTurn(f"{lead} {case.opening(rng)}", answer, "couplet")


@dataclass(frozen=True)
class LineReading:
    """What a second line holds: its ending, and whether its traces belong to a plan."""

    ending: str | None
    first: str | None
    second: str | None

    def fits(self, plan: RhymeWord) -> tuple[bool, bool]:
        """Whether the middle and the ending are those of the plan."""
        middle = self.first in plan.first and self.second in plan.second
        return middle, self.ending == plan.word


def read_line(text: str) -> LineReading:
    """The traces and the ending of a second line."""
    words = text.split(".")[0].split()
    plans = build_facts().rhymes.values()
    firsts = {trace for plan in plans for trace in plan.first}
    seconds = {trace for plan in plans for trace in plan.second}
    endings = {plan.word for plan in plans}
    return LineReading(
        next((word for word in words if word in endings), None),
        next((word for word in words if word in firsts), None),
        next((word for word in words if word in seconds), None),
    )
