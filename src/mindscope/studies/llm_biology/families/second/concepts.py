"""Statements of the second world in three languages: word, operation and language, each exchanged alone.

Statements are told for several people: in a plain one the first block reads all three from their own words
already where the answer is made, and nothing that a block writes there can matter.
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mindscope.organism import LANGUAGES
from mindscope.organism.mechanisms.languages import (
    STATEMENTS,
    TRANSLATION,
    LanguageCase,
    answers_of,
    language_cases,
)
from mindscope.organism.mechanisms.named import IN_ENGLISH, name_statement
from mindscope.studies.llm_biology.contrast import FeatureContrast
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import (
    ChosenSettings,
    SwapExperiment,
    Trial,
    at,
    describe_settings,
    settings,
)
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole
from mindscope.studies.llm_biology.workbench import CaseContext

OPPOSITE = "opposite"
OPERATION, OF, LANGUAGE, OPERAND, LAST = 0, 1, 2, 3, 4
"""The spots of what is asked, of what joins it to the word, of the language and of the word; and of the
answering token, at which an exchange is reported without a verdict."""
PLACES = {
    "relation": ((OPERATION,), (OPERATION, OF), (OPERATION, OF, OPERAND)),
    "language": ((LANGUAGE,), (LANGUAGE, OPERAND)),
}
TOKENS = 4
"""A Chinese answer begins with a token for the space that is not there."""
SETTINGS = settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0))
ENGLISH = LANGUAGES.index("en")
AMONG = 2
"""How often each English statement is read, each time among others."""
SHOWN = 20


def concepts(bench: CaseContext) -> CaseResult:
    """The right word in the right language, whichever of the three is exchanged."""
    verdicts, examples, plans, facts = [], [], [], []
    meant, chosen, contrast = _operand(bench)
    plans.append((meant, chosen))
    for named in range(len(LANGUAGES)):
        trials = _operand_trials(bench, named)
        claim = f"{meant.claim}, the word named in {LANGUAGES[named]}"
        # features were found over English words: in the other languages nothing was looked at
        measured, shown = replace(meant, claim=claim).measure(bench, chosen, trials, NEEDED)
        verdicts += measured
        examples += shown[:1]
    for kind, claim in (
        ("relation", "the operation exchanged: the word itself, in the language asked for, or its opposite"),
        ("language", "the language exchanged: the opposite of the same word in the other language"),
    ):
        flip = SwapExperiment(claim, _is_right, _right, TOKENS, whole=True, settings=SETTINGS)
        first, held = (_statements(bench, kind, half) for half in ("train", "test"))
        part = bench.contrast(first)
        kinds = list(part.kinds)
        places = [*(at(part, *spots) for spots in PLACES[kind]), at(part, LAST)]
        tried = _others(bench, first, kinds, f"{kind}-first")[: bench.first]
        best = flip.choose(bench, places, tried)
        trials = _others(bench, held, kinds, f"{kind}-held")[: bench.held]
        measured, shown = flip.measure(bench, best, trials, NEEDED)
        facts.append(describe_whole(bench, flip, best, partial(_same_but, bench), tried, trials))
        verdicts += measured
        examples += shown
        plans.append((flip, best))
    prompt = _operand_trials(bench, 1)[0][0]
    return CaseResult(
        family="languages",
        title="One concept, three languages",
        hypothesis="What is asked, about which word, and in which language are features of their own; those "
        "of the word and of the operation are shared by languages, and each can be exchanged for another.",
        section="Multilingual circuits",
        found="Features that write more at a word than at others, over taught statements with English "
        "words alone, tested on combinations that are never taught; and at the words of the "
        "operation (or the language), more than at those of another, tested on other words.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=(describe_reach(bench, [prompt for prompt, _ in _operand_trials(bench, 1)]), *facts),
        examples=tuple(examples),
        drawn=draw(
            bench, "languages", prompt.row, {prompt.kind: at(contrast, OPERAND).group(prompt.kind, SHOWN)}
        ),
    )


def _operand(bench: CaseContext) -> tuple[SwapExperiment, ChosenSettings, FeatureContrast]:
    """The exchange of a word by features that English words showed, and where it works best."""
    meant = SwapExperiment(
        "the word exchanged by features found over English words: its opposite, in the language asked for",
        _is_right,
        _right,
        TOKENS,
        whole=True,
        settings=SETTINGS,
    )
    words = answers_of(OPPOSITE)
    rng = bench.rng("operand-first")
    first = [
        _named(bench, rng.random(), case)
        for relation in (OPPOSITE, TRANSLATION)
        for case in language_cases("train", relation)
        for _ in range(AMONG)
        if case.asked_in == ENGLISH and case.concept in words
    ]
    contrast = at(bench.contrast(first), OPERAND)
    known = [prompt for prompt in first if prompt.about["case"].relation == OPPOSITE]
    trials = _others(bench, rng.sample(known, min(bench.first, len(known))), list(contrast.kinds), "operand")
    places = [contrast, *(at(contrast, OPERAND, layers=layers) for layers in ((0,), (0, 1)))]
    return meant, meant.choose(bench, places, trials), contrast


def _operand_trials(bench: CaseContext, named: int) -> list[Trial]:
    """Opposites of words named in a language, in combinations that are never taught."""
    cases = [case for case in language_cases("test", OPPOSITE) if case.asked_in == named]
    rng = bench.rng(f"operand-{named}")
    chosen = rng.sample(cases, min(bench.held, len(cases)))
    prompts = [_named(bench, rng.random(), case) for case in chosen]
    return _others(bench, prompts, [concept[0] for concept in answers_of(OPPOSITE)], f"operand-held-{named}")


def _statements(bench: CaseContext, kind: str, half: str) -> list[CasePrompt]:
    """Statements about words of one half, of the kind that is exchanged."""
    concepts_of_half = [
        c for c in answers_of(OPPOSITE) if (zlib.crc32(c[0].encode()) % 2 == 0) == (half == "train")
    ]
    relations = (OPPOSITE, TRANSLATION) if kind == "relation" else (OPPOSITE,)
    cases = [
        LanguageCase(relation, concept, named, answered)
        for concept in concepts_of_half
        for relation in relations
        for named in range(len(LANGUAGES))
        for answered in range(len(LANGUAGES))
        # no text says a word for itself
        if kind == "language" or concept[named] != concept[answered]
    ]
    rng = bench.rng(f"concepts-{kind}-{half}")
    return [
        replace(
            _named(bench, rng.random(), case),
            kind=case.relation if kind == "relation" else LANGUAGES[case.answered_in],
        )
        for case in rng.sample(cases, min(len(cases), 2 * bench.read))
    ]


def _named(bench: CaseContext, seed: float, case: LanguageCase) -> CasePrompt:
    """The case told for one of several people; ``seed`` draws what is told for the others, and the order."""
    prompt = name_statement(random.Random(seed), case)
    row = stated(bench.model, prompt.text)
    operation = STATEMENTS[case.relation][ENGLISH].split()[1]
    asked, language, word = (
        len(stated(bench.model, prompt.through(words))) - 1
        for words in (f"the {operation}", IN_ENGLISH[case.answered_in], case.word)
    )
    about = {"case": case, "seed": seed}
    spots = (asked, asked + 1, language, word, len(row) - 1)
    return CasePrompt(row, spots, case.concept[0], about, subject=case.concept[0])


def _same_but(bench: CaseContext, prompt: CasePrompt, kind: str) -> CasePrompt:
    """The same in every word but those of the operation or the language."""
    return _named(bench, prompt.about["seed"], _exchanged(prompt, kind))


def _others(
    bench: CaseContext, prompts: Sequence[CasePrompt], kinds: Sequence[str], name: str
) -> list[Trial]:
    """Each prompt with another kind, of those that give it another answer."""
    rng, trials = bench.rng(f"concepts-{name}"), []
    for prompt in prompts:
        open_to = [
            kind
            for kind in kinds
            if kind != prompt.kind and _exchanged(prompt, kind).answer != prompt.about["case"].answer
        ]
        if open_to:
            trials.append((prompt, rng.choice(open_to)))
    return trials


def _exchanged(prompt: CasePrompt, kind: str) -> LanguageCase:
    """The case with the kind in place of its own: another relation, language, or word."""
    case: LanguageCase = prompt.about["case"]
    if kind in STATEMENTS:
        return replace(case, relation=kind)
    if kind in LANGUAGES:
        return replace(case, answered_in=LANGUAGES.index(kind))
    return replace(case, concept=next(concept for concept in answers_of(OPPOSITE) if concept[0] == kind))


def _is_right(prompt: CasePrompt, kind: str, said: str) -> bool:
    return _exchanged(prompt, kind).is_completed(said)


def _right(prompt: CasePrompt, kind: str) -> str:
    return _exchanged(prompt, kind).answer
