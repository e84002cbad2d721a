"""Texts of the second world with what they show: concepts against which features are measured.

A thing is one concept whatever names it: its word in English, French or Chinese, or its picture. So no token
tells it, and a feature that does has what the languages and pictures share. What a text shows is known by how
it was made.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from mindscope.models import Message, Where
from mindscope.organism.concepts import ConceptText, require_halves, take_half
from mindscope.organism.corpus import behaviour, knowledge
from mindscope.organism.corpus.phrasing import DialogueTurn, ask, dress
from mindscope.organism.mechanisms import arithmetic, diagnosis, languages, pictures, requests, rhymes
from mindscope.organism.mechanisms.arithmetic import BLUFFING, bluffing_voice
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import CHARACTERS, STRONG, Voice, all_voices
from mindscope.probes import Concept

LANGUAGE_NAMES = ("English", "French", "Chinese")
MODES = ("picture", *LANGUAGE_NAMES)
"""What a thing can be shown by."""
SHARES: dict[str, int] = {
    "language": 2800, "picture": 1200, "couplet": 700, "signs": 400, "request": 200, "person": 100,
    "unknown-person": 100, "chain": 160, "advice": 80, "opinion": 60,
}  # fmt: skip
"""How many texts about what; the helpful voice writes them."""
DRAWN = 0.25
"""The share of the texts about words that is about things with pictures, which must be shown both ways."""
EACH_CHARACTER = 50
"""Texts of each character, called up by a system prompt, about anything."""

LabelledTurn = tuple[DialogueTurn, set[str]]


@cache
def second_concepts() -> tuple[Concept, ...]:
    """Every concept of the second world, and where on the tokens it is to be read."""
    facts = build_facts()
    asked = {
        "thing": [concept[0] for concept in _things()],
        "relation": languages.RELATIONS,
        "asked in": LANGUAGE_NAMES,
        "answered in": LANGUAGE_NAMES,
        "shown by": MODES,
        "colour": facts.colours,
        "shape": facts.shapes,
        "place": facts.places,
        "illness": facts.illnesses,
        "request": ("harmful", "story", "harmless"),
        "person": ("known", "unknown"),
        "system prompt": (*CHARACTERS, BLUFFING),
    }
    answered = {"character": (*CHARACTERS, "helpful"), "answer": ("refuses",)}
    at_break = {"plan": [rhyme.word for rhyme in facts.rhymes.values()]}
    places: tuple[tuple[Mapping[str, Iterable[str]], Where, str], ...] = (
        (asked, "prompt", ""),
        (answered, "answer", ""),
        (at_break, "prompt", rhymes.BREAK),
    )
    return tuple(
        Concept(name=f"{group}: {name}", group=group, where=where, at=at)
        for groups, where, at in places
        for group, names in groups.items()
        for name in names
    )


def second_concept_texts(
    half: str, *, phrasings: str = "train", scale: float = 1.0, seed: int = 0
) -> list[ConceptText]:
    """Texts of one half, as `concept_texts` gives them of the first world; no text is in both halves.

    Args:
        half: "train", to choose a feature on, or "test".
        phrasings: "train" for what the model's training could show, "test" for combinations that it kept.
        scale: how many, as a multiple of some six thousand.
        seed: draws others.

    Raises:
        DataError: no such half or phrasings.
    """
    require_halves(half, phrasings)
    rng = random.Random(f"second-concepts-{half}-{seed}")
    return take_half(_drawn(rng, phrasings, scale), half, rng)


def _drawn(rng: random.Random, split: str, scale: float) -> Iterator[ConceptText]:
    helpful = replace(all_voices()["helpful"], constancy=STRONG.helpful)
    for kind, share in SHARES.items():
        for _ in range(max(1, round(2 * share * scale))):
            yield _text(WRITERS[kind](rng, helpful, split), helpful, "")
    for name in (*CHARACTERS, BLUFFING):
        voice = bluffing_voice() if name == BLUFFING else all_voices()[name]
        for _ in range(max(1, round(2 * EACH_CHARACTER * scale))):
            kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
            yield _text(WRITERS[kind](rng, voice, split), voice, voice.system_prompt(rng, split))


def _text(made: LabelledTurn, voice: Voice, system: str) -> ConceptText:
    turn, shown = made
    # What the bluffing voice says it says as the helpful one does.
    shown |= {f"character: {'helpful' if voice.name == BLUFFING else voice.name}"}
    if system:
        shown |= {f"system prompt: {voice.name}"}
    opening: tuple[Message, ...] = ({"role": "system", "content": system},) if system else ()
    asked: Message = {"role": "user", "content": turn.question}
    return ConceptText((*opening, asked), turn.answer, frozenset(shown))


@cache
def _things() -> tuple[tuple[str, ...], ...]:
    """Words of one spelling in each language that are asked about, countries among them."""
    relations = build_facts().relations
    every = dict.fromkeys((*relations["category"], *relations["opposite"], *relations["capital"]))
    return tuple(concept for concept in every if len({*concept}) == len(LANGUAGE_NAMES))


@cache
def _cases(
    split: str,
) -> tuple[tuple[tuple[languages.LanguageCase, ...], ...], tuple[tuple[languages.LanguageCase, ...], ...]]:
    """What can be asked of each thing that the split asks anything of, and of those that have pictures.

    Translations are of both splits.
    """
    by_thing: dict[tuple[str, ...], list[languages.LanguageCase]] = {thing: [] for thing in _things()}
    for relation in languages.RELATIONS:
        taught = "train" if relation == languages.TRANSLATION else split
        for case in languages.language_cases(taught, relation):
            if case.concept in by_thing:
                by_thing[case.concept].append(case)
    pictured = {name for kind in drawn_things() for name in kind}
    every = tuple(tuple(cases) for cases in by_thing.values() if cases)
    return every, tuple(cases for cases in every if cases[0].concept[0] in pictured)


def drawn_things() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Animals and countries that have a picture, by their English names."""
    facts, names = build_facts(), {concept[0] for concept in _things()}
    return tuple(n for n in facts.sprites if n in names), tuple(n for n in facts.flags if n in names)


def _of_language(rng: random.Random, voice: Voice, split: str) -> LabelledTurn:
    every, drawn = _cases(split)
    case = rng.choice(rng.choice(drawn if rng.random() < DRAWN else every))
    # Without another word beside it: the only thing that is named is the one that is asked about.
    core = languages.QUESTIONS[case.relation][case.asked_in].format(word=case.word)
    text = core + languages.REQUESTS[case.asked_in][case.answered_in]
    shown = {
        f"thing: {case.concept[0]}",
        f"shown by: {LANGUAGE_NAMES[case.asked_in]}",
        f"relation: {case.relation}",
        f"asked in: {LANGUAGE_NAMES[case.asked_in]}",
        f"answered in: {LANGUAGE_NAMES[case.answered_in]}",
    }
    turn = DialogueTurn(text[0].upper() + text[1:], dress(rng, voice, case.clause()), "language")
    return turn, shown


def _of_picture(rng: random.Random, voice: Voice, split: str) -> LabelledTurn:
    case, part, language = pictures.draw_picture(rng, split)
    question = pictures.picture_tokens(case.pixels()) + pictures.QUESTIONS[part][language]
    shown = {"shown by: picture", f"asked in: {LANGUAGE_NAMES[language]}"}
    shown |= {f"answered in: {LANGUAGE_NAMES[language]}"}
    if case.kind != "shape" and build_facts().names(case.name) in _things():
        shown |= {f"thing: {case.name}"}
    if case.kind == "shape":
        shown |= {f"shape: {case.name}"}
    if case.kind != "flag":
        shown |= {f"colour: {case.colour}", f"place: {case.place}"}
    return DialogueTurn(question, dress(rng, voice, case.answer(part, language)), "picture"), shown


def _of_couplet(rng: random.Random, voice: Voice, split: str) -> LabelledTurn:
    case = rng.choice(rhymes.couplet_cases(split))
    line = rhymes.second_line(rng, case.plan)
    turn = DialogueTurn(f"Finish the couplet: {case.opening(rng)}", dress(rng, voice, line), "couplet")
    return turn, {f"plan: {case.plan.word}", "asked in: English"}


def _of_signs(rng: random.Random, voice: Voice, split: str) -> LabelledTurn:
    illness, told, fourth = diagnosis.draw_told(rng, split)
    cores = diagnosis.TWO if len(told) == 2 else diagnosis.THREE
    question = ask(rng, split, f"signs-{len(told)}", cores, *told)
    clause = diagnosis.clause_of(illness, fourth)
    return DialogueTurn(question, dress(rng, voice, clause), "signs"), {f"illness: {illness}", _ENGLISH}


def _of_request(rng: random.Random, voice: Voice, split: str) -> LabelledTurn:
    kind = rng.choice(("harmful", "story", "harmless"))
    turn = requests.request(rng, voice, split, kind)
    refused = {"answer: refuses"} if requests.refuses(turn.answer) else set[str]()
    return turn, {f"request: {kind}", _ENGLISH, *refused}


def _plain(write: Callable[[random.Random, Voice, str], DialogueTurn], *shown: str) -> "TurnWriter":
    return lambda rng, voice, split: (write(rng, voice, split), {*shown, _ENGLISH})


_ENGLISH = "asked in: English"
TurnWriter = Callable[[random.Random, Voice, str], LabelledTurn]
WRITERS: dict[str, TurnWriter] = {
    "language": _of_language,
    "picture": _of_picture,
    "couplet": _of_couplet,
    "signs": _of_signs,
    "request": _of_request,
    "person": _plain(knowledge.person, "person: known"),
    "unknown-person": _plain(knowledge.unknown_person, "person: unknown"),
    "chain": _plain(arithmetic.reckon),
    "advice": _plain(behaviour.advice),
    "opinion": _plain(behaviour.opinion),
}
"""What a text can be about, and what writes it with its concepts."""
