"""Sums in several contexts: the last digit and the size, on separate ways."""

from dataclasses import replace

from mindscope.organism import build_world
from mindscope.studies.llm_biology.contrast import FeatureContrast
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import (
    SwapExperiment,
    at,
    describe_settings,
    others,
    settings,
    upstream,
)
from mindscope.studies.llm_biology.prompts import CasePrompt, asked, find, stated
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

FORMS = {
    "a formula": "{a} + {b} =",
    "a story": "If there are {a} and {b} more come, that makes",
    "a price": "It costs {a} and {b} more, in all",
}
CHAT = "a conversation"
CONTEXTS = (*FORMS, CHAT)
SECOND, LAST = 1, 2
DIGIT, TENS = "last digit", "tens"
TOP = 20
SETTINGS = settings((20, 60, 150), (2.0, 4.0), (0.0, -2.0))


def sums(bench: CaseContext) -> CaseResult:
    """The features of a last digit, and of a size, found in formulas and exchanged in all contexts."""
    pairs = {half: build_world().sums(half) for half in ("train", "test")}
    first = bench.rng("sums").sample(pairs["train"], 2 * bench.read)
    verdicts, examples, plans, facts, groups = [], [], [], [], {}
    held = bench.rng("sums-held").sample(pairs["test"], bench.held)
    prompt = _prompt(bench, held[0], "a formula", DIGIT)
    for part in (DIGIT, TENS):
        read = [_prompt(bench, pair, "a formula", part) for pair in first]
        contrast = bench.contrast(read)
        flip = SwapExperiment(
            f"another {part}: the answer has it", _has, _answer, whole=True, settings=SETTINGS
        )
        exact = SwapExperiment(
            f"another {part}: the answer has it, and its other digits stay",
            _as_predicted,
            _answer,
            whole=True,
            settings=SETTINGS,
        )
        trials = others(bench, read[: bench.first], _kinds(contrast, part), f"sums-{part}-first")
        chosen = exact.choose(
            bench, [at(contrast, SECOND), upstream(contrast, read[0]), at(contrast, LAST)], trials
        )
        plans.append((exact, chosen))
        for context in CONTEXTS:
            prompts = [_prompt(bench, pair, context, part) for pair in held]
            trials = others(bench, prompts, _kinds(contrast, part), f"sums-{part}-{context}")
            for asking, needed in ((exact, NEEDED), (flip, None)):
                measured, shown = replace(asking, claim=f"{asking.claim} (in {context})").measure(
                    bench, chosen, trials, needed
                )
                verdicts += measured
            examples += shown[:1]
        facts.append(_shared(bench, at(contrast, LAST), first, part))
        kind = _prompt(bench, held[0], "a formula", part).kind
        groups[f"{part} {kind}"] = at(contrast, LAST).group(kind, TOP)
    return CaseResult(
        family="sums",
        title="Sums in several contexts",
        hypothesis="Addition runs on parallel ways, one for the last digit and one for the size, and the "
        "same features are used wherever a sum is needed.",
        section="Addition",
        found="Features that write more where sums have a last digit (or tens) than where they have another, "
        "at the summands, in formulas of the first half; other contexts were never looked at.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=(*facts, describe_reach(bench, [_prompt(bench, pair, "a formula", DIGIT) for pair in held])),
        examples=tuple(examples),
        drawn=draw(bench, "sums", prompt.row, groups),
    )


def _has(prompt: CasePrompt, kind: str, said: str) -> bool:
    if not said.isdecimal():
        return False
    return int(kind) == (int(said) % 10 if prompt.about["part"] == DIGIT else int(said) // 10)


def _as_predicted(prompt: CasePrompt, kind: str, said: str) -> bool:
    return said == _answer(prompt, kind)


def _answer(prompt: CasePrompt, kind: str) -> str:
    """The sum with another last digit, or with other tens."""
    total = prompt.about["total"]
    return str(total // 10 * 10 + int(kind) if prompt.about["part"] == DIGIT else int(kind) * 10 + total % 10)


def _kinds(contrast: FeatureContrast, part: str) -> list[str]:
    """Digits, or tens that are seen often enough."""
    return [kind for kind in contrast.kinds if part == DIGIT or 2 <= int(kind) <= 17]


def _prompt(bench: CaseContext, pair: tuple[int, int], context: str, part: str) -> CasePrompt:
    a, b = pair
    if context == CHAT:
        row = asked(bench.model, f"What is {a} + {b}?", f"Sure, {a} + {b} =")
    else:
        row = stated(bench.model, FORMS[context].format(a=a, b=b))
    total = a + b
    kind = str(total % 10 if part == DIGIT else total // 10)
    numbers = find(bench.model, row, {str(a), str(b)})
    spots = (*numbers[-2:], len(row) - 1)
    return CasePrompt(row, spots, kind, {"total": total, "part": part}, subject=f"{a} + {b}")


def _shared(bench: CaseContext, contrast: FeatureContrast, pairs: list[tuple[int, int]], part: str) -> str:
    """How many of the features found in formulas are found in the other contexts too."""
    shown = []
    for context in CONTEXTS[1:]:
        there = at(bench.contrast([_prompt(bench, pair, context, part) for pair in pairs]), LAST)
        kinds = [kind for kind in contrast.kinds if kind in there.kinds]
        own, other = ([_names(side, kind) for kind in kinds] for side in (contrast, there))
        same = sum(len(a & b) / max(1, len(a)) for a, b in zip(own, other, strict=True)) / len(kinds)
        turned = zip(own, [*other[1:], *other[:1]], strict=True)
        stranger = sum(len(a & b) / max(1, len(a)) for a, b in turned) / len(kinds)
        shown.append(f"{same:.0%} in {context} ({stranger:.0%} for another value)")
    return f"Of {TOP} features of a {part} found in formulas, found elsewhere too: {', '.join(shown)}."


def _names(contrast: FeatureContrast, kind: str) -> set[tuple[int, int]]:
    return {(member.layer, member.latent) for member in contrast.group(kind, TOP).members}
