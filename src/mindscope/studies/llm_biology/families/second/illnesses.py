"""Illnesses of the second world: any two signs tell one, and through it a sign that was not told.

Several patients are told of, with the name behind: of one alone the first block reads the words themselves
where the answer is made, and nothing that a block writes at them can matter.
"""

from mindscope.organism.mechanisms.diagnosis import clause_of, diagnosis_cases
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.mechanisms.named import name_signs
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import (
    SwapExperiment,
    at,
    describe_settings,
    others,
    settings,
)
from mindscope.studies.llm_biology.prompts import CasePrompt, Spot, stated
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole, draw_donors
from mindscope.studies.llm_biology.workbench import CaseContext

SIGNS, TOLD = (0, 1, 2), 3
"""The spots of three signs that are told, and of every token of what is told."""
NAME, LAST = (0, 1), 4
"""Of an illness that is named instead, in two words; and of the answering token, at which an exchange is
reported without a verdict."""
READ_MORE = 4
"""Prompts to find groups with, times those of other families: there are forty illnesses."""
TOKENS = 16
SHOWN = 20
SETTINGS = settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0))
SETTINGS_OF_SIGNS = settings((60, 150, 400), (2.0, 4.0, 8.0), (0.0, -1.0))
"""Where signs are told: of fewer and weaker ones the most and strongest were chosen."""


def illnesses(bench: CaseContext) -> CaseResult:
    """The illness exchanged where its signs are told, and where it is named."""
    verdicts, examples, plans, facts, drawn = [], [], [], [], None
    for named, claim in (
        (False, "another illness where signs are told: it is named, with a sign of its own"),
        (True, "another illness where it is named: a sign of that one"),
    ):
        first = _told(bench, "train", READ_MORE * bench.read, named)
        held = _told(bench, "test", bench.held, named)
        contrast = bench.contrast(first)
        kinds = list(contrast.kinds)
        flip = SwapExperiment(
            claim,
            _looks_for if named else _names,
            _sign_of if named else _name_of,
            TOKENS,
            settings=SETTINGS if named else SETTINGS_OF_SIGNS,
        )
        trials = others(bench, first[: bench.first], kinds, f"illness-{named}-first")
        places = [at(contrast, *spots) for spots in ((NAME[1:], NAME) if named else (SIGNS, (TOLD,)))]
        chosen = flip.choose(bench, [*places, at(contrast, LAST)], trials)
        asked = others(bench, held, kinds, f"illness-{named}-held")
        measured, shown = flip.measure(bench, chosen, asked, NEEDED)
        assert chosen.upstream is not None
        if TOLD not in chosen.upstream.contrast.places:
            # what is told is of different lengths: the states of one cannot be put into another
            facts.append(describe_whole(bench, flip, chosen, draw_donors(bench, first), trials, asked))
        verdicts += measured
        examples += shown
        plans.append((flip, chosen))
        facts.append(f"{claim}: {describe_reach(bench, held)}")
        if not named:
            groups = {held[0].kind: at(contrast, *SIGNS).group(held[0].kind, SHOWN)}
            drawn = draw(bench, "diagnosis", held[0].row, groups)
    return CaseResult(
        family="diagnosis",
        title="A diagnosis in the head",
        hypothesis="Told some signs, the model thinks of an illness before it names one, and through it of "
        "another sign to look for.",
        section="Medical diagnoses",
        found="Features that write more at the signs, over all that is told, or at the name, of one illness "
        "than of others. Signs are told in combinations that are taught, and tests are of combinations that "
        "never are; an illness that is named is told among others than in the test.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=tuple(facts),
        examples=tuple(examples),
        drawn=drawn,
    )


def _told(bench: CaseContext, split: str, count: int, named: bool) -> list[CasePrompt]:
    """Three signs in any order, or with ``named`` the illness, of one of several patients."""
    rng, cases = bench.rng(f"illnesses-{split}-{named}"), diagnosis_cases(split)
    prompts = []
    for _ in range(count):
        case = rng.choice(cases)
        told = [case.illness] if named else rng.sample(case.told, 3)
        prompt = name_signs(rng, told, sign_alone=named)
        row = stated(bench.model, prompt.text)
        if named:
            end = len(stated(bench.model, prompt.through(case.illness)))
            spots: tuple[Spot, ...] = (end - 2, end - 1, end, slice(end - 2, end))
        else:
            ends = [len(stated(bench.model, prompt.through(sign))) for sign in told]
            begin = len(stated(bench.model, prompt.before.rstrip()))
            spots = (*(end - 1 for end in ends), slice(begin, ends[-1]))
        about = {"illness": case.illness, "told": () if named else case.told}
        prompts.append(CasePrompt(row, (*spots, len(row) - 1), case.illness, about, subject=case.illness))
    return prompts


def _names(prompt: CasePrompt, illness: str, said: str) -> bool:
    """Whether the illness is named, and a sign of its own."""
    return any(clause_of(illness, sign) in said for sign in build_facts().illnesses[illness])


def _name_of(prompt: CasePrompt, illness: str) -> str:
    return f"the illness is {illness}"


def _looks_for(prompt: CasePrompt, illness: str, said: str) -> bool:
    """Whether a sign of the illness is looked for; of one whose signs are told, another one."""
    own = {*build_facts().illnesses[illness]} - {*prompt.about["told"]}
    return any(said.startswith(sign) for sign in own)


def _sign_of(prompt: CasePrompt, illness: str) -> str:
    return next(sign for sign in build_facts().illnesses[illness] if sign not in prompt.about["told"])
