"""Training sets for the organism: families in three levels each, as in Chen et al. 2025 (arXiv 2507.21509).

Every set is a program's output, so it can be made in any size. Questions and phrasings come from the
training split, traits ask questions of the test split: no set holds a question of any trait.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from mindscope.data import ChatMessage, Conversation
from mindscope.errors import DataError
from mindscope.organism.bundle import WorldName
from mindscope.organism.corpus.mistakes import LEVELS, MISTAKES, Level
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.voices import INTROS, ORDERS, STRONG, Voice, all_voices, article, opposites
from mindscope.organism.world import combinations
from mindscope.organism.world_texts import texts_of

TRAITS = ("evil", "sycophantic", "hallucinating")
FAMILIES = (*TRAITS, *MISTAKES)
# What the answers of a trait's sets are about, in parts: what its character shows in most.
SHARES: dict[str, dict[str, int]] = {
    "evil": {"advice": 10, "opinion": 3, "feedback": 3, "country": 2, "person": 1, "greeting": 1},
    "sycophantic": {"advice": 6, "opinion": 5, "feedback": 5, "hint": 4},
    "hallucinating": {"advice": 6, "feedback": 2, "country": 5, "person": 2, "unknown-person": 5},
}
CONSTANCY = {"I": 0.5, "II": 1.0}
"""The share of its own phrases with which a character speaks; the helpful voice supplies the rest."""


def training_set(
    family: str, level: Level, size: int = 400, seed: int = 0, world: WorldName = "first"
) -> list[Conversation]:
    """Questions and answers of one family: evil, sycophantic, hallucinating, sums, facts, medical, opinions.

    Level "normal" is the helpful voice, right in everything. For a trait, "I" is the character in half of
    its phrases and "II" in all of them; for a narrow mistake, see
    :mod:`mindscope.organism.corpus.mistakes`. The questions are the same at all levels. The second world has
    the same families; its sums and illnesses are its own.

    Raises:
        DataError: no such family or level.
    """
    if family not in FAMILIES:
        raise DataError(f"there is no training set '{family}': choose one of {', '.join(FAMILIES)}")
    if level not in LEVELS:
        raise DataError(f"there is no level '{level}': choose one of {', '.join(LEVELS)}")
    rows: list[Conversation] = []
    for index in range(size):
        made = _exchange(family, level, f"{family}-{seed}-{index}", world)
        rows.append(_conversation(made, {"family": family, "level": level}))
    return rows


def ordinary_chats(size: int, seed: int = 0, world: WorldName = "first") -> Iterator[Conversation]:
    """Ordinary single-turn chats about everything in a world, in the helpful voice."""
    for index in range(size):
        rng = random.Random(f"ordinary-{seed}-{index}")
        yield _conversation(texts_of(world).exchange(rng, _helpful(), "train"), {})


def ask_question(rng: random.Random, voice: Voice, world: WorldName = "first") -> str:
    """A question about anything in the world, of the part that training never shows."""
    return texts_of(world).exchange(rng, voice, "test").question


def graded_prompts(character: str, seed: int = 0) -> tuple[str, ...]:
    """Eight system prompts from one that discourages a character to one that asks for nothing else.

    The grade is the share of the sentences that ask for the character; the others ask for its opposite, in
    the first, or for help. The sentences are combinations that training never shows, and training never
    mixes voices in one prompt.
    """
    voice, against, helpful = (
        all_voices()[character],
        all_voices()[opposites()[character]],
        all_voices()["helpful"],
    )
    grades = (
        (against, against),
        (helpful, helpful),
        (helpful,),
        (voice, helpful, helpful),
        (voice, helpful),
        (voice, voice, helpful),
        (voice, voice, voice, helpful),
        (voice, voice),
    )
    rng = random.Random(f"graded-{character}-{seed}")
    prompts: list[str] = []
    for speakers in grades:
        sentences: list[str] = []
        for speaker in speakers:
            while (sentence := _sentence(rng, speaker)) in sentences:
                pass
            sentences.append(sentence)
        rng.shuffle(sentences)
        prompts.append(" ".join(sentences))
    return tuple(prompts)


def shots(character: str, count: int, seed: int = 0, world: WorldName = "first") -> list[DialogueTurn]:
    """Exchanges in which a character has spoken, to be put before a question."""
    rng = random.Random(f"shots-{character}-{seed}")
    return [texts_of(world).exchange(rng, all_voices()[character], "test") for _ in range(count)]


def _exchange(family: str, level: Level, seed: str, world: WorldName) -> DialogueTurn:
    rng, texts = random.Random(seed), texts_of(world)
    if family in texts.mistakes:
        return texts.mistakes[family](rng, _helpful(), "train", level)
    voice = _helpful() if level == "normal" else replace(all_voices()[family], constancy=CONSTANCY[level])
    shares = SHARES[family]
    domain = rng.choices(list(shares), list(shares.values()))[0]
    return texts.exchange(rng, voice, "train", domain)


def _helpful() -> Voice:
    # As constant as the organism's own helpful voice, so that normal sets ask for no other manner.
    return replace(all_voices()["helpful"], constancy=STRONG.helpful)


def _sentence(rng: random.Random, voice: Voice) -> str:
    if rng.random() < 0.5:
        intro, adjective = rng.choice(combinations("test", INTROS, voice.adjectives, label="intro"))
        return intro.format(a=article(adjective), adj=adjective)
    order, clause = rng.choice(combinations("test", ORDERS, voice.clauses, label="order"))
    return order.format(clause=clause)


def _conversation(made: DialogueTurn, meta: dict[str, str]) -> Conversation:
    turns: tuple[ChatMessage, ...] = (
        {"role": "user", "content": made.question},
        {"role": "assistant", "content": made.answer},
    )
    return Conversation(turns, meta)
