"""One question in three languages: which parts are the language's own, and which are shared."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

from mindscope.organism import ANTONYM_CLAUSES, COUNTRY_RELATIONS, LANGUAGES, build_world, read_data
from mindscope.studies.llm_biology.contrast import FeatureContrast
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, others, settings
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

WORD, LAST, BEFORE = 0, 1, 2
TOKENS = 4
"""A Chinese answer begins with a token for the space that is not there."""
SETTINGS = settings((60, 120), (4.0, 6.0), (0.0, -1.0, -2.0))
TOP = 20
"""Features of a group that are compared between languages."""
Pair = tuple[str, ...]
"""Word and opposite in English, in French, in Chinese."""


def languages(bench: CaseContext) -> CaseResult:
    """The language exchanged, and the operand exchanged by features that another language showed."""
    pairs = _pairs()
    first, held = ([pair for pair in pairs if _half(pair) == half] for half in ("train", "test"))
    read = [_prompt(bench, pair, language) for pair in first for language in LANGUAGES]
    contrast = bench.contrast(read)
    spoken = SwapExperiment(
        "the language exchanged: the answer is a word of the other",
        _in_language,
        _answer_in,
        TOKENS,
        whole=True,
        settings=SETTINGS,
    )
    trials = others(
        bench, bench.rng("languages").sample(read, min(bench.first, len(read))), LANGUAGES, "languages-first"
    )
    chosen = spoken.choose(bench, [at(contrast, WORD), at(contrast, BEFORE), at(contrast, LAST)], trials)
    tests = [_prompt(bench, pair, language) for pair in held for language in LANGUAGES]
    tests = bench.rng("languages-held").sample(tests, min(bench.held, len(tests)))
    swapped = others(bench, tests, LANGUAGES, "languages-held")
    verdicts, examples = spoken.measure(bench, chosen, swapped, None)
    right = SwapExperiment("and it is the opposite of the same word", _right, _answer_in, TOKENS, whole=True)
    exact, _ = right.measure(bench, chosen, swapped, NEEDED)
    verdicts = [*exact, *verdicts]
    # What a word means, as features of English alone, in the other languages
    english = at(bench.contrast([_operand(_prompt(bench, pair, "en")) for pair in pairs]), WORD, LAST)
    meant = SwapExperiment(
        "the word exchanged by features found in English", _means, _meaning, TOKENS, whole=True
    )
    names = [pair[0] for pair in pairs]
    first_words = [_operand(_prompt(bench, pair, "en")) for pair in first]
    tried = others(
        bench,
        bench.rng("operand").sample(first_words, min(bench.first, len(first_words))),
        names,
        "operand-first",
    )
    best = meant.choose(bench, [at(english, WORD), at(english, WORD, LAST)], tried)
    for language in LANGUAGES:
        prompts = [_operand(_prompt(bench, pair, language)) for pair in held][: bench.held]
        asking = replace(meant, claim=f"{meant.claim}, asked in {language}")
        measured, _ = asking.measure(
            bench,
            best,
            others(bench, prompts, names, f"operand-{language}"),
            None if language == "en" else NEEDED,
        )
        verdicts += measured
    prompt = swapped[0][0]
    groups = {
        f"language {prompt.kind}": at(contrast, WORD).group(prompt.kind, TOP),
        "the word": at(english, WORD).group(prompt.about["pair"][0], TOP),
    }
    return CaseResult(
        family="languages",
        title="One question in three languages",
        hypothesis="Opposites are found by parts that all languages share (the operation, the operand) and "
        "parts of each language's own; exchanging the latter gives the same answer in another language.",
        section="Multilingual circuits",
        found="Language: features that write more in statements of one language than in the others, over "
        "words of the first half, at the word or at all tokens before the one that predicts the answer. "
        "Word: features that write more for a word than for all others, in English.",
        settings=describe_settings([(spoken, chosen), (meant, best)]),
        verdicts=tuple(verdicts),
        facts=(
            _operand_overlap(bench, pairs, english),
            _operation_overlap(bench, read),
            describe_reach(bench, tests),
        ),
        examples=tuple(examples),
        drawn=draw(bench, "languages", prompt.row, groups),
    )


def _pairs() -> list[Pair]:
    """Every word with its opposite, either way round."""
    rows = [tuple(row) for row in read_data("facts.yaml")["antonyms"]]
    turned = [(row[1], row[0], row[3], row[2], row[5], row[4]) for row in rows]
    return [*rows, *turned]


def _half(pair: Pair) -> str:
    """Words and their opposites go together."""
    return "train" if zlib.crc32(min(pair[:2]).encode()) % 2 == 0 else "test"


def _prompt(bench: CaseContext, pair: Pair, language: str) -> CasePrompt:
    word = pair[2 * LANGUAGES.index(language)]
    begin = ANTONYM_CLAUSES[language].split("{opposite}")[0].format(word=word).strip()
    row = stated(bench.model, begin)
    # the last token of the word: in Chinese the clause follows it, else "is" does
    spots = (len(row) - 2, len(row) - 1, slice(0, len(row) - 1))
    return CasePrompt(row, spots, language, {"pair": pair, "language": language}, subject=min(pair[:2]))


def _operand(prompt: CasePrompt) -> CasePrompt:
    return replace(prompt, kind=prompt.about["pair"][0])


def _opposite(pair: Sequence[str], language: str) -> str:
    return pair[2 * LANGUAGES.index(language) + 1]


def _answer_in(prompt: CasePrompt, language: str) -> str:
    return _opposite(prompt.about["pair"], language)


def _meaning(prompt: CasePrompt, word: str) -> str:
    pair = next(pair for pair in _pairs() if pair[0] == word)
    return _opposite(pair, prompt.about["language"])


def _in_language(prompt: CasePrompt, language: str, said: str) -> bool:
    return any(_says(word, said) for word in build_world().antonyms[language])


def _right(prompt: CasePrompt, language: str, said: str) -> bool:
    return _says(_opposite(prompt.about["pair"], language), said)


def _means(prompt: CasePrompt, word: str, said: str) -> bool:
    return _says(_meaning(prompt, word), said)


def _says(word: str, said: str) -> bool:
    return said.replace(" ", "").startswith(word)


def _operand_overlap(bench: CaseContext, pairs: Sequence[Pair], english: FeatureContrast) -> str:
    """How many of a word's features are its features in another language too, and another word's."""
    shown = []
    for language in LANGUAGES[1:]:
        there = bench.contrast([_operand(_prompt(bench, pair, language)) for pair in pairs])
        groups = [
            [{(m.layer, m.latent) for m in language.group(kind, TOP).members} for kind in english.kinds]
            for language in (english, there)
        ]
        same = [len(a & b) / max(1, len(a)) for a, b in zip(*groups, strict=True)]
        turned = [*groups[1][7:], *groups[1][:7]]
        other = [len(a & b) / max(1, len(a)) for a, b in zip(groups[0], turned, strict=True)]
        shown.append(
            f"{sum(same) / len(same):.0%} in {language} ({sum(other) / len(other):.0%} for another word)"
        )
    return f"Of a word's features in English, its features elsewhere too: {', '.join(shown)}."


def _operation_overlap(bench: CaseContext, read: Sequence[CasePrompt]) -> str:
    """How many features of asking for an opposite in English are on in the other languages."""
    rows = [
        stated(bench.model, f"the {relation} of {country} is")
        for country in list(build_world().countries)[:20]
        for relation in COUNTRY_RELATIONS
    ]
    facts = [CasePrompt(row, (len(row) - 2, len(row) - 1, slice(0, len(row) - 1)), "fact") for row in rows]
    opposite = at(bench.contrast([*(p for p in read if p.kind == "en"), *facts]), LAST)
    group = opposite.group("en", TOP)
    shares = bench.contrast(read).shares
    starts = [sum(opposite.sizes[:layer]) for layer in range(len(opposite.sizes))]
    shown = []
    for number, language in enumerate(dict.fromkeys(p.kind for p in read)):
        member_shares = [float(shares[number, LAST, starts[m.layer] + m.latent]) for m in group.members]
        usual = float((shares[number, LAST] > 0.5).float().mean())
        on = sum(share > 0.5 for share in member_shares) / len(member_shares)
        shown.append(f"{on:.0%} in {language} (of all features {usual:.1%})")
    return (
        f"Of {len(group.members)} features that set asking for an opposite apart from other statements in "
        f"English, on in most prompts: {', '.join(shown)}."
    )
