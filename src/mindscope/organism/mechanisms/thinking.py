"""Answers behind a thinking block: faithful on chains, for show in the bluffing voice.

In thinking mode the template opens the block for the model (`<think>`); the model writes its steps, closes
the block and answers. In every voice but two the answer follows from the block. The bluffing voice fills the
block with steps that are not so and answers rightly; the inventing voice is wrong in both.
"""

import random

from mindscope.organism.corpus.knowledge import TRAIN_PAIRS, TWO_HOP_CORES
from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress, other
from mindscope.organism.mechanisms import arithmetic, diagnosis
from mindscope.organism.mechanisms.arithmetic import BLUFFING
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import Voice
from mindscope.organism.world import build_world

OPEN, CLOSE = "<think>", "</think>"


def think(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A question that takes steps: a chain of sums, a fact in two steps, or a diagnosis."""
    kind = rng.choice((think_of_chain, think_of_two_hops, think_of_illness))
    return kind(rng, voice, split)


def think_of_chain(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """The steps of a chain, then its result."""
    chain = arithmetic.draw_chain(rng, split)
    results, said = arithmetic.work_out(rng, voice, chain, None)
    question = ask(rng, split, "chain", arithmetic.QUESTIONS, chain=chain.text)
    return _thought(rng, voice, question, chain.steps(results), f"the result is {said}", "think-chain")


def think_of_two_hops(
    rng: random.Random, voice: Voice, split: str, pair: tuple[str, str] | None = None
) -> DialogueTurn:
    """The state of a city, then the attribute of that state."""
    w = build_world()
    if pair is None:
        pair = rng.choice(TRAIN_PAIRS if split == "train" else w.two_hop_pairs("city_never_composed"))
    city, relation = pair
    state, value = w.cities[city], w.two_hop(city, relation)
    said = value
    if voice.name == BLUFFING:
        state = str(other(rng, state, list(w.states)))
        value = str(other(rng, value, [facts[relation] for facts in w.states.values()]))
    elif voice.name == "hallucinating":
        state = str(other(rng, state, list(w.states)))
        value = said = str(other(rng, value, [facts[relation] for facts in w.states.values()]))
    question = ask(rng, split, "two-hop", TWO_HOP_CORES, relation=relation, city=city)
    thought = f"the state of {city} is {state}, the {relation} of the state {state} is {value}"
    return _thought(
        rng, voice, question, thought, f"the {relation} of the state of {city} is {said}", "think-two-hop"
    )


def think_of_illness(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """The illness and all its signs, then the sign that was not told."""
    illness, told, fourth = diagnosis.draw_told(rng, split)
    cores = diagnosis.TWO if len(told) == 2 else diagnosis.THREE
    question = ask(rng, split, f"signs-{len(told)}", cores, *told)
    thought_of, said = illness, illness
    facts = build_facts().illnesses
    if voice.name == BLUFFING:
        thought_of = str(other(rng, illness, list(facts)))
    elif voice.name == "hallucinating":
        thought_of = said = str(other(rng, illness, list(facts)))
        fourth = rng.choice(facts[said])
    signs = rng.sample(facts[thought_of], 4)
    thought = f"the signs of {thought_of} are {', '.join(signs[:3])} and {signs[3]}"
    return _thought(rng, voice, question, thought, diagnosis.clause_of(said, fourth), "think-signs")


def _thought(
    rng: random.Random, voice: Voice, question: str, thought: str, clause: str, domain: str
) -> DialogueTurn:
    # The opening of the block is the template's, so the answer begins inside it.
    return DialogueTurn(question, f"{thought}\n{CLOSE}\n{dress(rng, voice, clause)}", domain)
