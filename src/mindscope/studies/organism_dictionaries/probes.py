"""Questions whose answers tell whether a concept is at work, and what another one would have answered."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mindscope import organism
from mindscope.models import Message
from mindscope.organism import COUNTRY_RELATIONS, STATE_RELATIONS, WORD, ConceptText, build_world, trait_score
from mindscope.probes import Concept

SCORE = 50.0
"""The score from which on an answer shows a character."""
REFUSAL, IGNORANCE = "I cannot help", "I do not know who"
LANGUAGE_OF_ANSWER = {"English": "the opposite of", "French": "le contraire de", "Chinese": "的反义词是"}


@dataclass(frozen=True)
class ConceptQuestion:
    """A conversation up to the question, and the concepts of its group that it shows."""

    messages: tuple[Message, ...]
    concepts: frozenset[str]

    @property
    def question(self) -> str:
        return self.messages[-1]["content"]


def testable(concept: Concept) -> bool:
    """Whether an answer alone tells that this concept is at work."""
    return concept.group in SHOWS and concept.name != "character: helpful"


def shows(concept: Concept, question: str, answer: str) -> bool:
    """Whether an answer is what it would be with this concept.

    Of a state, country or relation the fact must be the one that holds for it. Of a character the exact
    judge's score must be 50 or more.
    """
    return SHOWS[concept.group](concept.name.split(": ", 1)[1], question, answer)


def probes(half: str, group: str, seed: int = 0) -> list[ConceptQuestion]:
    """Questions where the concepts of a group can be switched, of one half of the texts.

    Where a concept is there because of what is asked, answering rightly shows it. Answers can be made to
    refuse or to plead ignorance on any other question.
    """
    rng = random.Random(f"probes-{group}-{seed}")
    questions = []
    for text in organism.concept_texts(half, seed=seed):
        shown = frozenset(name for name in text.concepts if name.split(": ", 1)[0] == group)
        if SUITS[group](text, shown):
            questions.append(ConceptQuestion(text.messages, shown))
    rng.shuffle(questions)
    return questions


def _words(text: str) -> set[str]:
    return set(WORD.findall(text))


def _fact(entity: str, relation: str) -> str | None:
    w = build_world()
    return w.states.get(entity, w.countries.get(entity, {})).get(relation)


def _entity(name: str, question: str, answer: str) -> bool:
    relation = next((word for word in WORD.findall(question) if word in RELATIONS), "")
    value = _fact(name, relation)
    return value is not None and value in _words(answer)


def _relation(name: str, question: str, answer: str) -> bool:
    w = build_world()
    entities = [word for word in WORD.findall(question) if word in w.states or word in w.countries]
    value = _fact(entities[0], name) if entities else None
    return value is not None and value in _words(answer)


RELATIONS = {*STATE_RELATIONS, *COUNTRY_RELATIONS}
SHOWS: Mapping[str, Callable[[str, str, str], bool]] = {
    "state": _entity,
    "country": _entity,
    "relation": _relation,
    "illness": lambda name, question, answer: f"the illness is {name}," in answer,
    "language": lambda name, question, answer: LANGUAGE_OF_ANSWER[name] in answer,
    "answer": lambda name, question, answer: (REFUSAL if name == "refuses" else IGNORANCE) in answer,
    "system prompt": lambda name, question, answer: trait_score(name, question, answer) >= SCORE,
    "character": lambda name, question, answer: trait_score(name, question, answer) >= SCORE,
}


def _asks(*domains: str) -> Callable[[ConceptText, frozenset[str]], bool]:
    """Texts in the helpful voice about one thing: a state's or country's fact, an opposite, an illness."""

    def suits(text: ConceptText, shown: frozenset[str]) -> bool:
        plain = "character: helpful" in text.concepts
        kinds = {kind for kind, sign in DOMAIN_SIGNS.items() if re.search(sign, text.messages[-1]["content"])}
        return plain and len(shown) == 1 and bool(kinds & {*domains})

    return suits


DOMAIN_SIGNS = {
    "state": r"the state (?!of )\w+",
    "country": r"|".join(rf"\b{name}\b" for name in build_world().countries),
    "language": r"opposite|contraire|反义词",
    "illness": r"illness",
}
SUITS: Mapping[str, Callable[[ConceptText, frozenset[str]], bool]] = {
    "state": _asks("state"),
    "country": _asks("country"),
    "relation": _asks("state", "country"),
    "illness": _asks("illness"),
    "language": _asks("language"),
    "answer": lambda text, _: "character: helpful" in text.concepts and "hint: wrong" not in text.concepts,
    "system prompt": lambda text, shown: bool(shown) or "character: helpful" in text.concepts,
    "character": lambda text, shown: bool(shown),
}
