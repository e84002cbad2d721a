"""Sums of the second world: a number's last digit and its tens, each exchanged alone before the answer."""

import re
from dataclasses import replace

from mindscope.organism.mechanisms.sums import CONTEXTS, SumCase, draw_sum
from mindscope.studies.llm_biology.contrast import SwapSetting
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import (
    SwapExperiment,
    Trial,
    at,
    describe_settings,
    settings,
    upstream,
)
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole, draw_donors
from mindscope.studies.llm_biology.workbench import CaseContext

DIGIT_SPOT, NAME_SPOT = 0, 1
DIGIT, TENS = "last digit", "tens"
FOUND_IN = "formula"
TOKENS = 4
"""A number is written digit by digit."""
SHOWN = 20
SETTINGS = (
    *settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0)),
    *(SwapSetting(size, strength, 1 - strength) for size in (150, 400) for strength in (3.0, 4.0)),
)
"""Beside the usual ones the difference of two digits several times: what attention brings to the token keeps
the old digit, and the difference of the features alone leads halfway."""
_NUMBER = re.compile(r"\d+")


def digits(bench: CaseContext) -> CaseResult:
    """A digit's features, found in formulas and exchanged in every context."""
    verdicts, examples, plans, facts, groups = [], [], [], [], {}
    for part in (DIGIT, TENS):
        first = _sums(bench, part, FOUND_IN, "train", 2 * bench.read)
        contrast = bench.contrast(first)
        flip = SwapExperiment(
            f"another {part}: the answer has it, and its other digits stay",
            _is_exact,
            _answer,
            TOKENS,
            whole=True,
            settings=SETTINGS,
        )
        places = [at(contrast, DIGIT_SPOT), at(contrast, NAME_SPOT), upstream(contrast, first[0])]
        tried = _trials(bench, first, part, "first")[: bench.first]
        chosen = flip.choose(bench, places, tried)
        plans.append((flip, chosen))
        for context in CONTEXTS:
            asking = replace(flip, claim=f"{flip.claim} (in a {context})")
            prompts = _sums(bench, part, context, "test", 4 * bench.held)
            trials = _trials(bench, prompts, part, context)[: bench.held]
            measured, shown = asking.measure(bench, chosen, trials, NEEDED)
            if context == FOUND_IN:
                facts.append(describe_whole(bench, asking, chosen, draw_donors(bench, first), tried, trials))
            verdicts += measured
            examples += shown[:1]
        groups[f"{part} {first[0].kind}"] = upstream(contrast, first[0]).group(first[0].kind, SHOWN)
    shown_prompt = _sums(bench, DIGIT, FOUND_IN, "test", bench.held)
    return CaseResult(
        family="sums",
        title="Sums in several contexts",
        hypothesis="Addition runs on parallel ways, one for the last digit and one for the size, and the "
        "same features are used wherever a sum is needed.",
        section="Addition",
        found="Features that write more at a number's last digit, or at the name behind it, where the number "
        "has one last digit (or tens) than where it has another, in formulas of sums that are taught; the "
        "other contexts were never looked at. Exchanges are such that only that digit of the answer changes.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=(describe_reach(bench, shown_prompt), *facts),
        examples=tuple(examples),
        drawn=draw(bench, "sums", shown_prompt[0].row, groups),
    )


def _sums(bench: CaseContext, part: str, context: str, split: str, count: int) -> list[CasePrompt]:
    rng = bench.rng(f"digits-{part}-{context}-{split}")
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        case = draw_sum(rng, split, context)
        if case.a < 10 or case.b < 10:
            continue
        row = stated(bench.model, case.prompt())
        name = len(stated(bench.model, case.head())) - 1
        kind = str(case.a % 10 if part == DIGIT else case.a // 10)
        about = {"case": case, "part": part}
        prompts.append(
            CasePrompt(row, (name - 1, name, len(row) - 1), kind, about, subject=f"{case.a} + {case.b}")
        )
    return prompts


def _trials(bench: CaseContext, prompts: list[CasePrompt], part: str, name: str) -> list[Trial]:
    """Prompts with another digit that changes no other digit of the answer."""
    rng, trials = bench.rng(f"digit-trials-{part}-{name}"), []
    for prompt in prompts:
        before = prompt.about["case"].total
        kinds = [
            str(digit)
            for digit in range(0 if part == DIGIT else 1, 10)
            if str(digit) != prompt.kind and _changes_alone(before, _changed(prompt, str(digit)).total, part)
        ]
        if kinds:
            trials.append((prompt, rng.choice(kinds)))
    return trials


def _changes_alone(before: int, after: int, part: str) -> bool:
    if not (10 <= before < 100 and 10 <= after < 100):
        return False
    same_tens, same_last = before // 10 == after // 10, before % 10 == after % 10
    return same_tens and not same_last if part == DIGIT else same_last and not same_tens


def _changed(prompt: CasePrompt, kind: str) -> SumCase:
    case: SumCase = prompt.about["case"]
    changed = case.with_last_digit if prompt.about["part"] == DIGIT else case.with_tens
    return changed(int(kind))


def _is_exact(prompt: CasePrompt, kind: str, said: str) -> bool:
    number = _NUMBER.match(said)
    return number is not None and int(number[0]) == _changed(prompt, kind).total


def _answer(prompt: CasePrompt, kind: str) -> str:
    return str(_changed(prompt, kind).total)
