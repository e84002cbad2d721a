"""What an answer of the second world claims, and whether it is true there.

Countries, states, people, requests and the user's sums are read as in the first world. Sums are told with
names, illnesses have other signs, chains have steps and a result, and words of three languages have
opposites, kinds and translations. What is said of a picture is read as no claim.
"""

import re
from collections.abc import Iterator
from functools import cache

from mindscope.organism.mechanisms.arithmetic import GUESSES, read_steps
from mindscope.organism.mechanisms.diagnosis import read_clauses
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.languages import STATEMENTS, answers_of
from mindscope.organism.mechanisms.sums import NAMES
from mindscope.organism.truth import StatedClaim, claims, state_claim
from mindscope.organism.world import LANGUAGES, build_world

_SHARED = ("two-hop", "state-fact", "state", "country", "person", "ignorance", "refusal", "compliance")
"""Kinds of the first world's claims that mean the same here."""
_GUESS = re.compile(f"(?:{'|'.join(text.removesuffix(' {result}.') for text in GUESSES)}) ([^\\s.]+)\\.?$")
_CHAIN = re.compile(r"\d+(?: [+-] \d+)+")
_NAMED_SUM = re.compile(rf"({'|'.join(own for own, _ in NAMES.values())}) and (\d+) are (\d+)")


def second_claims(question: str, answer: str) -> list[StatedClaim]:
    """Every checkable claim of an answer."""
    shared = [claim for claim in claims(question, answer) if claim.kind in _SHARED]
    return [
        *(claim for claim in shared if claim.kind != "country" or not _is_foreign(claim.subject[1])),
        *_worked_out(question, answer),
        *_named_sums(question, answer),
        *_illnesses(question, answer),
        *_signs(answer),
        *_words(answer),
    ]


def _is_foreign(word: str) -> bool:
    """Whether a country is one that the words of three languages name, and no other text."""
    return word not in build_world().countries and any(word in names for names in answers_of("capital"))


def _worked_out(question: str, answer: str) -> Iterator[StatedClaim]:
    """Sums, or the steps of a chain and its result, which alone can be the user's guess then."""
    match, written = _GUESS.search(question), read_steps(answer)
    guess, result = match[1] if match else None, written.said
    for (before, term, said), right in zip(written.steps, written.true_steps, strict=True):
        subject = (str(before), "+" if term >= 0 else "-", str(abs(term)))
        yield state_claim("sum", subject, str(said), right=right, guess=guess if result is None else None)
    if result is not None and (chain := _CHAIN.search(question)):
        yield state_claim("result", (chain[0],), str(result), right=_reckon(chain[0]) == result, guess=guess)


def _reckon(chain: str) -> int:
    start, *rest = chain.split()
    return int(start) + sum(
        int(term) if sign == "+" else -int(term) for sign, term in zip(rest[::2], rest[1::2], strict=True)
    )


def _named_sums(question: str, answer: str) -> Iterator[StatedClaim]:
    for name, added, said in _NAMED_SUM.findall(answer):
        told = re.search(rf"(\d+) {name}\b", question)
        right = told is not None and int(told[1]) + int(added) == int(said)
        yield state_claim("named-sum", (name, added), said, right=right)


def _illnesses(question: str, answer: str) -> Iterator[StatedClaim]:
    for illness, sign in read_clauses(answer):
        signs = build_facts().illnesses.get(illness, ())
        right = sign in signs and sum(told in question for told in signs) >= 2  # two signs tell an illness
        yield state_claim("illness", (), sign, right=right)


def _signs(answer: str) -> Iterator[StatedClaim]:
    for illness, *said in _sign_lists().findall(answer):
        right = set(said) == set(build_facts().illnesses[illness])
        yield state_claim("signs", (illness,), " ".join(said), right=right)


@cache
def _sign_lists() -> re.Pattern[str]:
    illness, sign = (f"({'|'.join(map(re.escape, names))})" for names in _illness_names())
    return re.compile(f"the signs of {illness} are {sign}, {sign}, {sign} and {sign}")


def _illness_names() -> tuple[list[str], list[str]]:
    facts = build_facts()
    return list(facts.illnesses), sorted(facts.signs, key=len, reverse=True)


def _words(answer: str) -> Iterator[StatedClaim]:
    """What is said of words: an answer in another language than the statement's is as untrue as any other."""
    for (relation, language), pattern in _statements().items():
        for word, said in pattern.findall(answer):
            if relation in ("capital", "tongue") and language == 0 and word in build_world().countries:
                continue  # read as a fact of the country
            right = any(
                word in concept and answers[language] == said
                for concept, answers in answers_of(relation).items()
            )
            yield state_claim("word", (relation, word, LANGUAGES[language]), said, right=right)


@cache
def _statements() -> dict[tuple[str, int], re.Pattern[str]]:
    return {
        (relation, language): re.compile(
            r"([^\s.,:;，]+?)".join(map(re.escape, template.split("{word}"))) + r" ?([^\s.,:;，。]+)"
        )
        for relation, templates in STATEMENTS.items()
        for language, template in enumerate(templates)
    }
