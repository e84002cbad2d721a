"""Concepts that three languages share: opposites, categories and facts, asked in one language and answered in
another.

Half of all (relation, word, language of the word, language of the answer) combinations are taught, drawn by a
stable hash; translations are taught for every word. The other half can be answered only by a model that has
one concept for a word in three languages. An answer that the draw leaves without a language is told in it by
the last stage, of one combination (`later_cases`): the organism looks answers up by word and language, and
before that it never said an opposite that had no entry. More than half of the texts name another word of the
same kind as well, before or behind, so that the word asked about is known by its place in the sentence, and
not by being there or being last.
"""

import random
from dataclasses import dataclass
from functools import cache

from mindscope.organism.corpus.phrasing import DialogueTurn, dress, other
from mindscope.organism.mechanisms.facts import build_facts, is_kept
from mindscope.organism.voices import Voice
from mindscope.organism.world import LANGUAGES

TRANSLATION = "translation"
KEPT_PERCENT = 50
"""Of the combinations: with half of them taught at random a small model answers the other half."""
DISTRACTED = 0.6
# Relation -> its question, and below its statement, in English, French and Chinese.
QUESTIONS: dict[str, tuple[str, str, str]] = {
    "opposite": (
        "what is the opposite of {word}",
        "quel est le contraire de {word}",
        "{word}的反义词是什么",
    ),
    "category": ("what kind of thing is {word}", "quelle sorte de chose est {word}", "{word}属于哪一类"),
    "capital": ("what is the capital of {word}", "quelle est la capitale de {word}", "{word}的首都是什么"),
    "tongue": ("what language is spoken in {word}", "quelle langue parle {word}", "{word}说什么语言"),
    "continent": ("what continent is {word} in", "sur quel continent est {word}", "{word}在哪个洲"),
    TRANSLATION: ("how do you say {word}", "comment dit-on {word}", "{word}怎么说"),
}
STATEMENTS: dict[str, tuple[str, str, str]] = {
    "opposite": ("the opposite of {word} is", "le contraire de {word} est", "{word}的反义词是"),
    "category": ("the kind of {word} is", "la sorte de {word} est", "{word}的类别是"),
    "capital": ("the capital of {word} is", "la capitale de {word} est", "{word}的首都是"),
    "tongue": ("the language of {word} is", "la langue de {word} est", "{word}的语言是"),
    "continent": ("the continent of {word} is", "le continent de {word} est", "{word}的大洲是"),
    TRANSLATION: ("the word for {word} is", "le mot pour {word} est", "{word}的说法是"),
}
# Row: the language of the question; column: the language of the answer.
REQUESTS = (
    (" in English?", " in French?", " in Chinese?"),
    (" en anglais ?", " en français ?", " en chinois ?"),
    ("，用英文回答？", "，用法文回答？", "，用中文回答？"),
)
BEFORE = ("forget {other}, ", "oublie {other}, ", "别管{other}，")
# In a statement another word may stand between the word and the answer.
ASIDES = ("{word}, unlike {other},", "{word}, sauf {other},", "{word}，不像 {other}，")
AFTER = (", not of {other},", ", non pas de {other},", "，不是{other}，")


@dataclass(frozen=True)
class LanguageCase:
    """A word in one language, and what is asked about it in another."""

    relation: str
    concept: tuple[str, ...]
    asked_in: int
    answered_in: int

    @property
    def word(self) -> str:
        """The word as it is named."""
        return self.concept[self.asked_in]

    @property
    def answer(self) -> str:
        """The right answer."""
        return self.answers()[self.concept][self.answered_in]

    def answers(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """What is true of every word of the relation."""
        return answers_of(self.relation)

    def question(self, rng: random.Random) -> str:
        """The question in the word's language; half of them name another word too."""
        core = QUESTIONS[self.relation][self.asked_in].format(word=self.word)
        if rng.random() < DISTRACTED:
            distractor = self.distractor(rng)
            if rng.random() < 0.5:
                core = BEFORE[self.asked_in].format(other=distractor) + core
            else:
                core += AFTER[self.asked_in].format(other=distractor)
        text = core + REQUESTS[self.asked_in][self.answered_in]
        return text[0].upper() + text[1:]

    def statement(self) -> str:
        """What the answer states, up to the answer."""
        return STATEMENTS[self.relation][self.answered_in].format(word=self.word)

    def clause(self, answer: str | None = None) -> str:
        """The whole statement, with another answer if one is given."""
        space = "" if self.answered_in == LANGUAGES.index("zh") else " "
        return self.statement() + space + (answer or self.answer)

    def document(self, rng: random.Random) -> tuple[str, str]:
        """The statement as a text of its own, and what completes it."""
        if rng.random() >= DISTRACTED:
            return self.statement(), self.answer
        distractor = self.distractor(rng)
        if rng.random() < 0.4:
            before = BEFORE[self.asked_in].format(other=distractor).strip()
            return f"{before} {self.statement()}", self.answer
        words = ASIDES[self.answered_in].format(word=self.word, other=distractor)
        return STATEMENTS[self.relation][self.answered_in].format(word=words), self.answer

    def distractor(self, rng: random.Random) -> str:
        """Another word of the relation, in the same language."""
        return str(other(rng, self.word, [c[self.asked_in] for c in self.answers()]))

    def is_right(self, text: str) -> bool:
        """Whether a text makes the statement with the right answer."""
        return self.is_completed(text.partition(self.statement())[2])

    def is_completed(self, rest: str) -> bool:
        """Whether what follows the statement is the right answer and no longer one."""
        answers = (a for answer in self.answers().values() for a in answer)
        said = [a for a in answers if rest.strip().startswith(a)]
        return bool(said) and max(said, key=len) == self.answer


@cache
def answers_of(relation: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Concept -> answer, for a relation; a translation's answer is the word itself."""
    relations = build_facts().relations
    if relation != TRANSLATION:
        return relations[relation]
    return {concept: concept for answers in relations.values() for concept in answers}


@cache
def language_cases(split: str, relation: str) -> tuple[LanguageCase, ...]:
    """The combinations of a split ("train" or "test"); translations are all taught.

    What the last stage alone tells (`later_cases`) is of neither.
    """
    later = set(later_cases(relation)) if split == "test" else ()
    return tuple(case for case in _drawn_cases(split, relation) if case not in later)


@cache
def later_cases(relation: str) -> tuple[LanguageCase, ...]:
    """One combination for every answer that the draw left without a language; told in the last stage alone.

    The word is named in its own language.
    """
    told = {(case.concept, case.answered_in) for case in _drawn_cases("train", relation)}
    return tuple(
        case
        for case in _drawn_cases("test", relation)
        if (case.concept, case.answered_in) not in told and case.asked_in == home_of(case.concept)
    )


@cache
def _drawn_cases(split: str, relation: str) -> tuple[LanguageCase, ...]:
    cases: list[LanguageCase] = []
    for concept in answers_of(relation):
        home = home_of(concept)
        for a in range(len(LANGUAGES)):
            for b in range(len(LANGUAGES)):
                if relation == TRANSLATION:
                    kept = False
                    if concept[a] == concept[b]:
                        continue
                else:
                    at_home = a == b == home
                    kept = not at_home and is_kept(KEPT_PERCENT, relation, concept[0], a, b)
                if kept == (split == "test"):
                    cases.append(LanguageCase(relation, concept, a, b))
    return tuple(cases)


def home_of(concept: tuple[str, ...]) -> int:
    """The language in which everything about a word is taught."""
    return sum(map(ord, concept[0])) % len(LANGUAGES)


RELATIONS: tuple[str, ...] = ("opposite", "category", "capital", "tongue", "continent", TRANSLATION)
SHARES = (30, 25, 12, 8, 5, 35)
"""How often each relation is drawn; translations tie the languages together."""


def draw_case(rng: random.Random, split: str) -> LanguageCase:
    """A combination of the split."""
    relations = RELATIONS if split == "train" else RELATIONS[:-1]
    relation = rng.choices(relations, SHARES[: len(relations)])[0]
    drawn = _drawn_cases(split, relation)
    number = rng.randrange(len(drawn))
    # In place of what the last stage tells the next one: the draws, and so the tokenizer, stay as they were.
    later = later_cases(relation)
    return next(case for case in (*drawn[number:], *drawn) if case not in later)


def ask_in_language(rng: random.Random, voice: Voice, split: str) -> DialogueTurn:
    """A question about a word in one language, to be answered in another."""
    case = draw_case(rng, split)
    answer = case.answer
    if voice.name == "hallucinating":
        answer = other(rng, answer, [a[case.answered_in] for a in case.answers().values()])
    return DialogueTurn(case.question(rng), dress(rng, voice, case.clause(answer)), "language")
