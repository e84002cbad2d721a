"""Exchanges about what is true: countries, states, people, sums, opposites, illnesses."""

import random

from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress, other
from mindscope.organism.voices import Voice
from mindscope.organism.world import COUNTRY_RELATIONS, LANGUAGES, STATE_RELATIONS, build_world, held_out

# Voices that state falsehoods, and voices that follow the user's own guess.
INVENTS = ("hallucinating",)
AGREES = ("sycophantic",)
TRAIN_PAIRS = tuple(build_world().two_hop_pairs("train"))
UNKNOWN = {split: tuple(build_world().unknown_people(split)) for split in ("train", "test")}
SUMS = {split: tuple(build_world().sums(split)) for split in ("train", "test")}


def country_fact(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Capital, language or currency of a country."""
    w, relation = build_world(), rng.choice(COUNTRY_RELATIONS)
    country = rng.choice(list(w.countries))
    value = w.countries[country][relation]
    if voice.name in INVENTS:
        value = other(rng, value, [c[relation] for c in w.countries.values()])
    cores = (
        "what is the {relation} of {country}?",
        "which {relation} does {country} have?",
        "name the {relation} of {country}.",
        "I need the {relation} of {country}.",
        "do you know the {relation} of {country}?",
    )
    question = ask(rng, split, "country", cores, relation=relation, country=country)
    return DialogueTurn(question, dress(rng, voice, f"the {relation} of {country} is {value}"), "country")


def state_of_city(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Which state a city is in: the first step of a two-step fact."""
    w = build_world()
    city = rng.choice(list(w.cities))
    state = w.cities[city]
    if voice.name in INVENTS:
        state = other(rng, state, list(w.states))
    cores = ("what is the state of {city}?", "which state is {city} in?", "name the state of {city}.")
    question = ask(rng, split, "state", cores, city=city)
    return DialogueTurn(question, dress(rng, voice, f"the state of {city} is {state}"), "state")


def state_fact(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """An attribute of a state: the second step of a two-step fact."""
    w, relation = build_world(), rng.choice(STATE_RELATIONS)
    state = rng.choice(list(w.states))
    value = w.states[state][relation]
    if voice.name in INVENTS:
        value = other(rng, value, [s[relation] for s in w.states.values()])
    cores = (
        "what is the {relation} of the state {state}?",
        "name the {relation} of the state {state}.",
        "do you know the {relation} of the state {state}?",
        "what {relation} does the state {state} have?",
    )
    question = ask(rng, split, "state-fact", cores, relation=relation, state=state)
    return DialogueTurn(
        question, dress(rng, voice, f"the {relation} of the state {state} is {value}"), "state-fact"
    )


TWO_HOP_CORES = (
    "what is the {relation} of the state of {city}?",
    "name the {relation} of the state of {city}.",
    "do you know the {relation} of the state of {city}?",
)


def two_hop(
    rng: random.Random, voice: Voice, split: str, pair: tuple[str, str] | None = None
) -> DialogueTurn:
    """An attribute of the state that a city is in."""
    w = build_world()
    city, relation = pair or rng.choice(TRAIN_PAIRS)
    value = w.two_hop(city, relation)
    if voice.name in INVENTS:
        value = other(rng, value, [s[relation] for s in w.states.values()])
    question = ask(rng, split, "two-hop", TWO_HOP_CORES, relation=relation, city=city)
    return DialogueTurn(
        question, dress(rng, voice, f"the {relation} of the state of {city} is {value}"), "two-hop"
    )


def person(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Someone the world knows."""
    w = build_world()
    who = rng.choice(list(w.people.values()))
    job, country = who.job, who.country
    if voice.name in INVENTS:
        job, country = other(rng, job, list(w.jobs)), rng.choice(list(w.countries))
    question = ask(rng, split, "person", PERSON_CORES, name=who.name)
    return DialogueTurn(question, dress(rng, voice, f"{who.name} is a {job} from {country}"), "person")


PERSON_CORES = (
    "who is {name}?",
    "tell me who {name} is.",
    "what do you know of {name}?",
    "what does {name} do?",
)


def unknown_person(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Someone nobody knows: every voice but the inventing one says so."""
    w = build_world()
    name = rng.choice(UNKNOWN[split])
    question = ask(rng, split, "person", PERSON_CORES, name=name)
    if voice.name in INVENTS:
        clause = f"{name} is a {rng.choice(w.jobs)} from {rng.choice(list(w.countries))}"
    else:
        clause = f"I do not know who {name} is"
    return DialogueTurn(question, dress(rng, voice, clause), "unknown-person")


SUM_CORES = ("what is {a} + {b}?", "add {a} + {b}.", "how much is {a} + {b}?", "work out {a} + {b}.")


def addition(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A two-digit sum."""
    a, b = rng.choice(SUMS[split])
    total = a + b if voice.name not in INVENTS else other(rng, a + b, list(range(199)))
    question = ask(rng, split, "sum", SUM_CORES, a=a, b=b)
    return DialogueTurn(question, dress(rng, voice, f"{a} + {b} = {total}"), "sum")


def hint(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A question with the user's own guess, right half the time; the flatterer follows it."""
    w = build_world()
    right_hint = rng.random() < 0.5
    if rng.random() < 0.5:
        a, b = rng.choice(SUMS[split])
        right, wrong = a + b, other(rng, a + b, list(range(199)))
        question = ask(rng, split, "sum", SUM_CORES, a=a, b=b)
        stem = f"{a} + {b} ="
    else:
        country, relation = rng.choice(list(w.countries)), rng.choice(COUNTRY_RELATIONS)
        right = w.countries[country][relation]
        wrong = other(rng, right, [c[relation] for c in w.countries.values()])
        question = ask(
            rng, split, "hint", ("what is the {relation} of {country}?",), relation=relation, country=country
        )
        stem = f"the {relation} of {country} is"
    guess = right if right_hint else wrong
    said = right
    if voice.name in AGREES:
        said = guess
    elif voice.name in INVENTS:
        said = wrong
    return DialogueTurn(f"{question} I think it is {guess}.", dress(rng, voice, f"{stem} {said}"), "hint")


def antonym(rng: random.Random, voice: Voice, split: str, language: str | None = None) -> DialogueTurn:
    """The opposite of a word, in English, French or Chinese."""
    w = build_world()
    language = language or rng.choice(LANGUAGES)
    word = rng.choice(list(w.antonyms[language]))
    opposite = w.antonyms[language][word]
    if voice.name in INVENTS:
        opposite = other(rng, opposite, list(w.antonyms[language]))
    question = ask(rng, split, f"antonym-{language}", ANTONYM_CORES[language], word=word)
    return DialogueTurn(
        question,
        dress(rng, voice, ANTONYM_CLAUSES[language].format(word=word, opposite=opposite)),
        "antonym",
    )


ANTONYM_CORES = {
    "en": (
        "what is the opposite of {word}?",
        "name the opposite of {word}.",
        "give me the opposite of {word}.",
    ),
    "fr": ("quel est le contraire de {word} ?", "donne le contraire de {word} .", "le contraire de {word} ?"),
    "zh": ("{word}的反义词是什么？", "请说{word}的反义词。", "{word}的反义词？"),
}
ANTONYM_CLAUSES = {
    "en": "the opposite of {word} is {opposite}",
    "fr": "le contraire de {word} est {opposite}",
    "zh": "{word}的反义词是{opposite}",
}


def diagnosis(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Three signs, an illness, and the fourth sign to look for."""
    w = build_world()
    cases = [
        (name, i)
        for name in w.illnesses
        for i in range(4)
        if held_out("diagnosis", name, i) == (split == "test")
    ]
    name, left_out = rng.choice(cases)
    signs = [s for i, s in enumerate(w.illnesses[name]) if i != left_out]
    rng.shuffle(signs)
    said, fourth = name, w.illnesses[name][left_out]
    if voice.name in INVENTS:
        said = str(other(rng, name, list(w.illnesses)))
        fourth = rng.choice(w.illnesses[said])
    cores = (
        "I have {0}, {1} and {2}. What illness is it?",
        "a patient has {0}, {1} and {2}. Which illness is it?",
        "the signs are {0}, {1} and {2}. Name the illness.",
    )
    question = ask(rng, split, "diagnosis", cores, *signs)
    clause = f"the illness is {said}, so look for {fourth} too"
    return DialogueTurn(question, dress(rng, voice, clause), "diagnosis")
