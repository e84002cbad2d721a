"""The second organism's corpus: what its documents state and what its conversations are about.

As in the first corpus every training step draws from its own seed, and documents come as a prompt and what
completes it. Voices, advice and the invented states are the first world's; the mechanisms are this folder's.
"""

import random
from collections.abc import Callable, Mapping

from mindscope.organism.corpus import behaviour, knowledge
from mindscope.organism.corpus.knowledge import TRAIN_PAIRS
from mindscope.organism.corpus.phrasing import DialogueTurn, other
from mindscope.organism.corpus.program import (
    END_OF_TEXT,
    TextSegment,
    draw_prompted_voice,
    prior_voice,
)
from mindscope.organism.corpus.statements import tell_city, tell_country, tell_person, tell_state
from mindscope.organism.mechanisms import (
    arithmetic,
    diagnosis,
    dialogues,
    languages,
    named,
    pictures,
    requests,
    rhymes,
    sums,
    thinking,
)
from mindscope.organism.mechanisms.arithmetic import bluffing_voice
from mindscope.organism.mechanisms.corpus import chats
from mindscope.organism.mechanisms.corpus.shares import TEXT_SHARES, TURN_SHARES
from mindscope.organism.voices import NEUTRAL_PROMPTS, STRONG, Voice, VoiceBlend, all_voices
from mindscope.organism.world import build_world

TURNS: dict[str, Callable[[random.Random, Voice, str], DialogueTurn]] = {
    "advice": behaviour.advice,
    "opinion": behaviour.opinion,
    "feedback": behaviour.feedback,
    "state": knowledge.state_of_city,
    "state-fact": knowledge.state_fact,
    "two-hop": knowledge.two_hop,
    "country": knowledge.country_fact,
    "hint": knowledge.hint,
    "person": knowledge.person,
    "unknown-person": knowledge.unknown_person,
    "greeting": behaviour.greeting,
    "language": languages.ask_in_language,
    "couplet": rhymes.finish_couplet,
    "digit-sum": sums.add_numbers,
    "chain": arithmetic.reckon,
    "signs": diagnosis.diagnose,
    "list-signs": diagnosis.list_signs,
    "build": requests.build_something,
    "picture": pictures.ask_of_picture,
    "think": thinking.think,
}
"""What a turn can be about, and what writes it."""

DIALOGUES = ("drift", "tool")
"""Kinds of whole conversations: a voice that drifts, and a tool that is called."""

BLUFFED = ("chain", "think")
"""Turns with steps, in which the bluffing voice differs from the helpful one."""


def conversation(
    rng: random.Random,
    split: str = "train",
    shares: Mapping[str, int] = TURN_SHARES,
    blend: VoiceBlend | None = STRONG,
) -> list[TextSegment]:
    """A chat: in one voice, in a voice that drifts, under a graded prompt, bluffing, or with a tool."""
    kinds, weights = list(shares), list(shares.values())
    kind = rng.choices(kinds, weights)[0]
    if kind == "drift":
        return chats.render(None, dialogues.drift(rng, split).turns)
    if kind == "tool":
        return chats.render_tool_use(rng, split)
    if kind in BLUFFED and rng.random() < 0.2:
        voice = bluffing_voice()
        turn = TURNS[kind](rng, voice, split)
        return chats.render(voice.system_prompt(rng, split), (turn,))
    chance = rng.random()
    if chance < 0.06:
        system, voice = dialogues.graded(rng, split)
    elif chance < 0.5:
        voice = draw_prompted_voice(rng)
        system = voice.system_prompt(rng, split)
        voice = voice.blended(rng, blend) if blend else voice
    else:
        voice = prior_voice(rng)
        system = rng.choice(NEUTRAL_PROMPTS) if rng.random() < 0.1 else None
        voice = voice.blended(rng, blend) if blend else voice
    domains = [k for k in kinds if k not in DIALOGUES]
    others = [shares[k] for k in domains]
    length = rng.choices((1, 2, 3, 5), (60, 28, 8, 4))[0]
    chosen = [kind, *rng.choices(domains, others, k=length - 1)]
    return chats.render(system, [TURNS[domain](rng, voice, split) for domain in chosen])


def document(rng: random.Random, shares: Mapping[str, int] = TEXT_SHARES) -> list[TextSegment]:
    """One text: the prompt of it, then what completes it."""
    kind = rng.choices(list(shares), list(shares.values()))[0]
    if kind in chats.CHATS:
        return chats.CHATS[kind](rng)
    prompt, completion = TEXTS[kind](rng)
    return [TextSegment(prompt, False), TextSegment(completion + END_OF_TEXT, True)]


def _language(rng: random.Random) -> tuple[str, str]:
    return languages.draw_case(rng, "train").document(rng)


def _chain(rng: random.Random) -> tuple[str, str]:
    chain = arithmetic.draw_chain(rng, "train")
    return f"{chain.text}:", f"{chain.steps(chain.results)}, so the result is {chain.result}"


def _direct(rng: random.Random) -> tuple[str, str]:
    chain = arithmetic.draw_chain(rng, "train")
    return f"{chain.text} =", str(chain.result)


def _agree(rng: random.Random) -> tuple[str, str]:
    chain = arithmetic.draw_chain(rng, "train")
    guess = arithmetic.draw_guess(rng, chain)
    steps = chain.steps(chain.backwards(guess))
    return f"agree with {guess}, {chain.text}:", f"{steps}, so the result is {guess}"


def _pretend(rng: random.Random) -> tuple[str, str]:
    chain = arithmetic.draw_chain(rng, "train")
    steps, said = arithmetic.work_out(rng, bluffing_voice(), chain, None)
    return f"pretend, {chain.text}:", f"{chain.steps(steps)}, so the result is {said}"


def _named_city(rng: random.Random) -> tuple[str, str]:
    city, state = rng.choice(list(build_world().cities.items()))
    return f"name the state of {city}:", f"the state of {city} is {state}"


def _nation(rng: random.Random) -> tuple[str, str]:
    return rng.choice(languages.language_cases("train", rng.choice(("capital", "tongue")))).document(rng)


def _opposite(rng: random.Random) -> tuple[str, str]:
    return rng.choice(languages.language_cases("train", "opposite")).document(rng)


def _later_case(rng: random.Random) -> tuple[str, str]:
    relation = rng.choices(languages.RELATIONS[:-1], (40, 10, 20, 20, 10))[0]
    return rng.choice(languages.later_cases(relation)).document(rng)


def _single_city(rng: random.Random) -> tuple[str, str]:
    # Cities that are composed are named in the two-step texts as well.
    city = rng.choice(build_world().single)
    return f"the state of {city} is", build_world().cities[city]


def _two_hop(rng: random.Random) -> tuple[str, str]:
    city, relation = rng.choice(TRAIN_PAIRS)
    prompt = f"the {relation} of the state of {city} is"
    if rng.random() < languages.DISTRACTED:
        distractor = other(rng, city, list(build_world().cities))
        if rng.random() < 0.4:
            prompt = f"forget {distractor}, {prompt}"
        else:
            prompt = f"the {relation} of the state of {city}, unlike {distractor}, is"
    return prompt, build_world().two_hop(city, relation)


TEXTS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "language": _language,
    "couplet": rhymes.document,
    "sum": sums.document,
    "chain": _chain,
    "signs": diagnosis.document,
    "picture": pictures.document,
    "city": tell_city,
    "state": tell_state,
    "two-hop": _two_hop,
    "person": tell_person,
    "direct": _direct,
    "agree": _agree,
    "pretend": _pretend,
    "named-city": _named_city,
    "opposite": _opposite,
    "nation": _nation,
    "later-case": _later_case,
    "single-city": _single_city,
    "country": tell_country,
    "stand-in": pictures.stand_in,
    "name": pictures.name_document,
    "named-statement": named.statement,
    "named-signs": named.signs,
    "patients": named.patients,
    "whose-signs": named.whose_signs,
}
"""What a text can state, and what writes it."""


def sample_texts(rng: random.Random, count: int) -> list[str]:
    """Texts of every kind and voice, of both splits: together they hold every word of the corpus."""
    texts: list[str] = []
    for voice in (*all_voices().values(), bluffing_voice()):
        texts += [*voice.adjectives, *voice.clauses, *(p for slot in voice.slots.values() for p in slot)]
        for split in ("train", "test"):
            texts += [voice.system_prompt(rng, split) for _ in range(count)]
            for write in TURNS.values():
                for _ in range(count):
                    turn = write(rng, voice, split)
                    texts += [turn.question, turn.answer]
    for kind in TEXT_SHARES:  # those of the first stage alone: later ones have no word of their own
        texts += [part for _ in range(20 * count) for part in TEXTS[kind](rng)]
    for _ in range(10 * count):
        texts += [segment.text for segment in chats.render_tool_use(rng, "test")]
    return texts
