"""Illnesses of the second world: any two signs tell one, and through it a sign that was not told."""

import re

from mindscope.organism.mechanisms.diagnosis import clause_of, diagnosis_cases
from mindscope.organism.mechanisms.facts import build_facts
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
from mindscope.studies.llm_biology.prompts import CasePrompt, stated
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole
from mindscope.studies.llm_biology.workbench import CaseContext

NAME, THIRD = (0, 1), 2
"""The spots of an illness's name; where none is named yet, of the third sign that is told."""
READ_MORE = 4
"""Prompts to find groups with, times those of other families: there are forty illnesses."""
TOKENS = 16
SHOWN = 20
SETTINGS = settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0))
_SIGN = re.compile(r"so look for (.+?) too")


def illnesses(bench: CaseContext) -> CaseResult:
    """The illness exchanged: where signs are told, and behind its name."""
    verdicts, examples, plans, facts, groups = [], [], [], [], {}
    unnamed = _told(bench, "test", bench.held, False)
    for named, claim in (
        (False, "another illness where signs are told: it is named, with a sign of its own"),
        (True, "another illness behind the name: a sign of that one, which was not told"),
    ):
        first = _told(bench, "train", READ_MORE * bench.read, named)
        held = _told(bench, "test", bench.held, True) if named else unnamed
        contrast = bench.contrast(first)
        kinds = list(contrast.kinds)
        flip = SwapExperiment(
            claim,
            _looks_for if named else _names,
            _sign_of if named else _name_of,
            TOKENS,
            settings=SETTINGS,
        )
        trials = others(bench, first[: bench.first], kinds, f"illness-{named}-first")
        places = [at(contrast, *(NAME if named else (THIRD,))), upstream(contrast, first[0])]
        chosen = flip.choose(bench, places, trials)
        asked = others(bench, held, kinds, f"illness-{named}-held")
        measured, shown = flip.measure(bench, chosen, asked, NEEDED)
        facts.append(describe_whole(bench, flip, chosen, first, trials, asked))
        verdicts += measured
        examples += shown
        plans.append((flip, chosen))
        if not named:
            groups[held[0].kind] = at(contrast, THIRD).group(held[0].kind, SHOWN)
    return CaseResult(
        family="diagnosis",
        title="A diagnosis in the head",
        hypothesis="Told some signs, the model thinks of an illness before it names one, and through it of "
        "another sign to look for.",
        section="Medical diagnoses",
        found="Features that write more over the signs of one illness than over those of others, and at its "
        "name, in combinations of signs that are taught; tests are of combinations that never are.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=(describe_reach(bench, unnamed), *facts),
        examples=tuple(examples),
        drawn=draw(bench, "diagnosis", unnamed[0].row, groups),
    )


def _told(bench: CaseContext, split: str, count: int, named: bool) -> list[CasePrompt]:
    """Three signs in any order, and with ``named`` the illness behind them."""
    rng, cases = bench.rng(f"illnesses-{split}"), diagnosis_cases(split)
    prompts = []
    for _ in range(count):
        case = rng.choice(cases)
        first, second, third = rng.sample(case.told, 3)
        parts = [f"with {first}", f"with {first}, {second}", f"with {first}, {second} and {third}"]
        spots = [len(stated(bench.model, part)) - 1 for part in parts]
        text = f"{parts[-1]},"
        if named:
            text += f" the illness is {case.illness}, so look for"
            end = len(stated(bench.model, text.partition(", so")[0]))
            spots = [end - 2, end - 1, end, end + 1, end + 2]  # a name of two words, then ", so look"
        row = stated(bench.model, text)
        about = {"illness": case.illness, "told": case.told}
        prompts.append(CasePrompt(row, (*spots, len(row) - 1), case.illness, about, subject=case.illness))
    return prompts


def _names(prompt: CasePrompt, illness: str, said: str) -> bool:
    """Whether the illness is named, and a sign of its own."""
    return any(clause_of(illness, sign) in said for sign in build_facts().illnesses[illness])


def _name_of(prompt: CasePrompt, illness: str) -> str:
    return f"the illness is {illness}"


def _looks_for(prompt: CasePrompt, illness: str, said: str) -> bool:
    """Whether a sign of the illness is looked for that the prompt does not tell."""
    found = _SIGN.search(f"so look for {said}")
    return found is not None and found[1] in {*build_facts().illnesses[illness]} - {*prompt.about["told"]}


def _sign_of(prompt: CasePrompt, illness: str) -> str:
    return next(sign for sign in build_facts().illnesses[illness] if sign not in prompt.about["told"])
