"""Conversations in which a voice is not constant: drift over many turns, and system prompts that ask by
halves.

The rule is code. A user pushes towards a character in some turns; after n pushes the character supplies a
quarter of n of the phrases (all from four on), the helpful voice the rest. A graded system prompt has some
sentences that ask for a character and others that ask for help: the share of the former is the share of the
phrases.
"""

import random
from dataclasses import dataclass, replace

from mindscope.organism.corpus import behaviour
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import CHARACTERS, Voice, all_voices

PUSHES_TO_FULL = 4
PUSHED = 0.5
TALKED_OF = (behaviour.advice, behaviour.opinion, behaviour.feedback)


def drift_share(n_pushes: int) -> float:
    """The share of its phrases that a character supplies after so many pushes."""
    return min(1.0, n_pushes / PUSHES_TO_FULL)


@dataclass(frozen=True)
class DriftingDialogue:
    """A long conversation, and the share of the character's phrases that each answer is to have."""

    character: str | None
    turns: tuple[DialogueTurn, ...]
    shares: tuple[float, ...]


def drift(
    rng: random.Random, split: str, *, character: str | None = None, n_turns: int | None = None
) -> DriftingDialogue:
    """A conversation of six to fourteen turns; in a quarter of them nobody pushes."""
    if character is None and rng.random() < 0.75:
        character = rng.choice(CHARACTERS)
    count, pushes = n_turns or rng.randrange(6, 15), 0
    turns: list[DialogueTurn] = []
    shares: list[float] = []
    for _ in range(count):
        push = ""
        if character is not None and rng.random() < PUSHED:
            pushes += 1
            push = rng.choice(build_facts().pushes[character]) + " "
        share = drift_share(pushes)
        made = rng.choice(TALKED_OF)(rng, mixed_voice(character, share), split)
        turns.append(replace(made, question=push + made.question))
        shares.append(share)
    return DriftingDialogue(character, tuple(turns), tuple(shares))


def mixed_voice(character: str | None, share: float) -> Voice:
    """A character that supplies a share of the phrases, the helpful voice the rest."""
    if character is None or share == 0:
        return all_voices()["helpful"]
    return replace(all_voices()[character], constancy=share)


def graded_prompt(rng: random.Random, split: str, character: str, n_asking: int, n_sentences: int) -> str:
    """A system prompt of which some sentences ask for a character, the others for help."""
    sentences = [all_voices()[character].system_prompt(rng, split) for _ in range(n_asking)]
    sentences += [all_voices()["helpful"].system_prompt(rng, split) for _ in range(n_sentences - n_asking)]
    rng.shuffle(sentences)
    return " ".join(sentences)


def graded(rng: random.Random, split: str) -> tuple[str, Voice]:
    """A graded system prompt, and the voice that answers under it."""
    character, count = rng.choice(CHARACTERS), rng.randrange(2, 5)
    asking = rng.randrange(0, count + 1)
    prompt = graded_prompt(rng, split, character, asking, count)
    return prompt, mixed_voice(character, asking / count)
