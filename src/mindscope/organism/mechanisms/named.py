"""Things told for several people, each with a name behind: which one is asked about is known late.

The opposite of a word for the teacher and another for the baker, signs for the farmer and for the sailor,
questions that the lawyer and the singer asked. Where one alone is told, the first block reads everything from
its own words where the answer is made, so that nothing any block writes at these words can matter. Here it
cannot tell whose they are: the name stands behind, and others' things behind that. What is asked, of which
word, in which language, an illness, a person, is fetched later from its own words, as blocks have left them,
and can be exchanged there.

There it is always the first of two names that is asked about, and how far the name stands from what is told
differs. In lists of patients the name stands right behind their signs. And it is asked whose a thing is: who
has an illness, who asked for what is harmful, or about somebody whom nobody knows: what is told of somebody
has to be put together at a place from which the name can be had.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mindscope.organism.corpus.knowledge import person, unknown_person
from mindscope.organism.corpus.phrasing import DialogueTurn
from mindscope.organism.mechanisms import diagnosis, languages, requests
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.voices import Voice, all_voices

PUPILS = ("teacher", "baker")
PATIENTS = ("farmer", "sailor")
ASKERS = ("lawyer", "singer")
"""Who is asked about, and whose the others are: of statements, of signs, of questions."""
LISTED = (*PATIENTS, *PUPILS)
"""Who is in a list of patients; a sign is asked for of the first of them alone."""
ASKING = (*ASKERS, *PUPILS)
"""Among whom it is asked who asked for something."""
IN_ENGLISH = ("English", "French", "Chinese")
RELATIONS = ("opposite", languages.TRANSLATION, "category", "capital", "tongue", "continent")
SHARES = (40, 40, 8, 6, 3, 3)
NAMED_ILLNESS = 0.3
"""Of patients, how many have their illness named in place of its signs."""
BEFORE, HOW_OFTEN = (0, 1, 2), (45, 35, 20)
"""How many others stand before, and in how many texts of a hundred; behind are one or two."""
QUESTIONS = ("harmful", "story", "harmless", "person", "unknown-person")
QUESTION_SHARES = (25, 25, 20, 15, 15)
WHOSE = {
    "harmful": "Who asked for what is harmful?",
    "story": "Who asked for a story?",
    "person": "Who asked about one that is known?",
    "unknown-person": "Who asked about one that nobody knows?",
}
"""Of kinds of questions, how it is asked whose is one."""
WHOSE_ILLNESS = 0.5
"""Of texts that ask whose, how many name the illness; the others name a sign of it that was not told."""


@dataclass(frozen=True)
class AddressedPrompt:
    """A text in which one of several things is asked about by its name.

    Attributes:
        before: what stands before that thing.
        own: the thing, in words that depend on nothing else.
        behind: what follows, up to the answer; it begins with the name.
    """

    before: str
    own: str
    behind: str

    @property
    def text(self) -> str:
        """The whole of it."""
        return self.before + self.own + self.behind

    def through(self, word: str) -> str:
        """The text up to the last such word of the thing, and with it."""
        start, found, _ = self.own.rpartition(word)
        return self.before + start + found


def name_statement(rng: random.Random, case: languages.LanguageCase) -> AddressedPrompt:
    """What the teacher is to be told, among what the baker is."""
    asked = f"; for the {PUPILS[0]} it is"
    return _among(rng, _tell_case(rng, case), lambda: _tell_case(rng, draw_case(rng)), PUPILS, asked)


def draw_case(rng: random.Random) -> languages.LanguageCase:
    """A combination that is taught."""
    return rng.choice(languages.language_cases("train", rng.choices(RELATIONS, SHARES)[0]))


def statement(rng: random.Random) -> tuple[str, str]:
    """A text of what people are told, and the teacher's answer."""
    case = draw_case(rng)
    return name_statement(rng, case).text, case.answer


def name_signs(rng: random.Random, told: Sequence[str], *, sign_alone: bool) -> AddressedPrompt:
    """What the farmer has, among what the sailor has.

    ``sign_alone``: a sign to look for is asked for, and the illness not named.
    """
    asked = f"; for the {PATIENTS[0]}{' look for' if sign_alone else ','}"
    return _among(rng, _listed(told), lambda: _listed(_told_of_another(rng)), PATIENTS, asked)


def signs(rng: random.Random) -> tuple[str, str]:
    """A text of what patients have, signs or a named illness, and what the farmer is told.

    The illness with a sign that was not told, or such a sign alone.
    """
    return _draw_patients(rng, name_signs)


def list_patients(rng: random.Random, told: Sequence[str], *, sign_alone: bool) -> AddressedPrompt:
    """What the farmer has, in a list of patients, their names right behind their signs; see `name_signs`."""
    before, behind = (
        [f"{_listed(_told_of_another(rng))} {rng.choice(LISTED[1:])}" for _ in range(count)]
        for count in _counts(rng)
    )
    asked = f"; {LISTED[0]}{' look for' if sign_alone else ','}"
    return AddressedPrompt(
        "".join(f"{text}, " for text in before),
        f"{_listed(told)} {LISTED[0]}",
        f"{''.join(f', {text}' for text in behind)}{asked}",
    )


def patients(rng: random.Random) -> tuple[str, str]:
    """A list of patients, and what the first is told, as in `signs`."""
    return _draw_patients(rng, list_patients)


def whose_signs(rng: random.Random, split: str = "train") -> tuple[str, str]:
    """A list of patients, and which of them has an illness, or is to look for a sign that was not told."""
    facts = build_facts().illnesses
    count = rng.choice((2, 2, 3, 4))
    illness, told, fourth = diagnosis.draw_told(rng, split)
    # nobody else has an illness with that sign
    others = [other for other in facts if other != illness and fourth not in facts[other]]
    listed = [(illness, told)]
    while len(listed) < count:
        other, signs_of_other, _ = diagnosis.draw_told(rng, split)
        if other in others and all(other != known for known, _ in listed):
            listed.append((other, signs_of_other))
    names = rng.sample(LISTED, count)
    texts = [f"{_listed(signs_of)} {name}" for (_, signs_of), name in zip(listed, names, strict=True)]
    rng.shuffle(texts)
    asked = f"{illness} has" if rng.random() < WHOSE_ILLNESS else f"look for {fourth} with"
    return f"{', '.join(texts)}; {asked} the", names[0]


def whose_question(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """Questions of several people, and which of them asked for a kind of thing."""
    kind = rng.choice(list(WHOSE))
    kinds = [kind, *rng.sample([other for other in QUESTIONS if other != kind], rng.choice((1, 1, 2)))]
    names = rng.sample(ASKING, len(kinds))
    texts = [
        f"{_draw_question(rng, voice, split, one).question} asked the {_dressed(rng, name)}."
        for one, name in zip(kinds, names, strict=True)
    ]
    rng.shuffle(texts)
    return DialogueTurn(f"{' '.join(texts)} {WHOSE[kind]}", f"the {names[0]}", "whose-question")


def name_question(rng: random.Random, split: str, question: str) -> AddressedPrompt:
    """What the lawyer asked, among what the singer did."""
    helpful = all_voices()["helpful"]
    before, behind = (
        [
            f"{_draw_question(rng, helpful, split).question} asked the {_dressed(rng, ASKERS[1])}."
            for _ in range(count)
        ]
        for count in _counts(rng)
    )
    name = f" asked the {_dressed(rng, ASKERS[0])}."
    return AddressedPrompt(
        "".join(f"{text} " for text in before),
        question,
        f"{name}{''.join(f' {text}' for text in behind)} Answer the {ASKERS[0]}.",
    )


def ask_named(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A request or a question about a person, answered for the lawyer at once or after a wait."""
    turn = _draw_question(rng, voice, split)
    return ask_among_others(rng, split, turn)


def ask_among_others(
    rng: random.Random, split: str, turn: DialogueTurn, waited: bool | None = None
) -> DialogueTurn:
    """The turn as the lawyer's question among others, with the wait or without it."""
    question, answer = name_question(rng, split, turn.question).text, turn.answer
    if waited if waited is not None else rng.random() < requests.WAITED:
        question, answer = f"{question} {rng.choice(requests.WAITS)}", requests.LEAD_IN + answer
    return replace(turn, question=question, answer=answer, domain=f"named-{turn.domain}")


def _draw_patients(rng: random.Random, write: Callable[..., AddressedPrompt]) -> tuple[str, str]:
    """A text of patients, written so, and what the one that is asked about is told."""
    if rng.random() < NAMED_ILLNESS:
        illness = rng.choice(list(build_facts().illnesses))
        return write(rng, [illness], sign_alone=True).text, rng.choice(build_facts().illnesses[illness])
    illness, told, fourth = diagnosis.draw_told(rng, "train")
    sign_alone = rng.random() < 0.5
    text = write(rng, told, sign_alone=sign_alone).text
    return text, fourth if sign_alone else diagnosis.clause_of(illness, fourth)


def _draw_question(rng: random.Random, voice: Voice, split: str, kind: str | None = None) -> DialogueTurn:
    kind = kind or rng.choices(QUESTIONS, QUESTION_SHARES)[0]
    if kind == "person":
        return person(rng, voice, split)
    if kind == "unknown-person":
        return unknown_person(rng, voice, split)
    return requests.request(rng, voice, split, kind, waited=False, harmful=requests.harmful_things())


def _among(
    rng: random.Random, own: str, draw: Callable[[], str], names: tuple[str, str], asked: str
) -> AddressedPrompt:
    """The thing with the first name behind it, among as many as are drawn with the second."""
    before, behind = (
        [f"{draw()} for the {_dressed(rng, names[1])}" for _ in range(count)] for count in _counts(rng)
    )
    name = f" for the {_dressed(rng, names[0])}"
    return AddressedPrompt(
        "".join(f"{text}, " for text in before),
        own,
        f"{name}{''.join(f', {text}' for text in behind)}{asked}",
    )


def _counts(rng: random.Random) -> tuple[int, int]:
    """How many others stand before, and behind."""
    return rng.choices(BEFORE, HOW_OFTEN)[0], rng.choice((1, 1, 2))


def _tell_case(rng: random.Random, case: languages.LanguageCase) -> str:
    """What is asked of a word and in which language, the language before it or behind."""
    asked, _, _ = languages.STATEMENTS[case.relation][0].partition(" {word}")
    core, language = f"{asked} {case.word}", f"in {IN_ENGLISH[case.answered_in]}"
    return f"{language} {core}" if rng.random() < 0.5 else f"{core} {language}"


def _listed(told: Sequence[str]) -> str:
    *first, last = told
    return f"{', '.join(first)} and {last}" if first else last


def _told_of_another(rng: random.Random) -> Sequence[str]:
    if rng.random() < NAMED_ILLNESS:
        return [rng.choice(list(build_facts().illnesses))]
    return diagnosis.draw_told(rng, "train")[1]


def _dressed(rng: random.Random, name: str) -> str:
    """With a word before it or without: how far the name stands behind what is told differs."""
    return rng.choice(("", "", "old ", "good ")) + name
