"""Diagnosis: the illness stands between three signs and the fourth to look for."""

from mindscope.organism import build_world, held_out
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, others, upstream
from mindscope.studies.llm_biology.prompts import CasePrompt, answer_begins, asked, beginning
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

CORES = (
    "I have {0}, {1} and {2}. What illness is it?",
    "A patient has {0}, {1} and {2}. Which illness is it?",
    "The signs are {0}, {1} and {2}. Name the illness.",
)
TURN, LAST = (2, 3), 4
"""The spots at which the answer turns to the question, and the one that predicts the illness."""
SHOWN = 20
"""Features of a group in the graph."""
TOKENS = 8
SIGN = ", so look for "


def diagnosis(bench: CaseContext) -> CaseResult:
    """The features of an illness exchanged: before it is named, and after."""
    first, held = (
        _prompts(bench, half, count) for half, count in (("train", bench.read), ("test", bench.held))
    )
    contrast = bench.contrast(first)
    illnesses = list(contrast.kinds)
    named = SwapExperiment(
        "another illness before one is named: it is named, with a sign of its own",
        _named,
        lambda prompt, illness: illness,
        TOKENS,
    )
    tried = others(bench, first[: bench.first], illnesses, "diagnosis-first")
    chosen = named.choose(
        bench, [upstream(contrast, first[0]), at(contrast, *TURN), at(contrast, LAST)], tried
    )
    verdicts, examples = named.measure(
        bench, chosen, others(bench, held, illnesses, "diagnosis-held"), NEEDED
    )
    # The signs and the name stay as they are; only features say that it is another illness.
    asked_for = held
    first, held = ([_with_name(bench, prompt) for prompt in half] for half in (first, held))
    after = bench.contrast(first)
    signed = SwapExperiment(
        "another illness behind the name: a sign of that one", _signed, _own_sign, 3, whole=True
    )
    tried = others(bench, first[: bench.first], illnesses, "diagnosis-sign-first")
    best = signed.choose(bench, [at(after, 0), at(after, 1)], tried)
    after_name, more = signed.measure(
        bench, best, others(bench, held, illnesses, "diagnosis-sign-held"), NEEDED
    )
    prompt = held[0]
    groups = {prompt.kind: at(after, 0).group(prompt.kind, SHOWN)}
    return CaseResult(
        family="diagnosis",
        title="Diagnosis",
        hypothesis="The model diagnoses in its head: features of the likely illness, driven by the signs, "
        "lead to the further sign to look for; another illness's features lead to that one's.",
        section="Medical diagnoses",
        found="Features that write more for an illness than for the others, over questions with other signs "
        "left out than in the test.",
        settings=describe_settings([(named, chosen), (signed, best)]),
        verdicts=(*verdicts, *after_name),
        facts=(_without(bench, held), describe_reach(bench, asked_for), describe_reach(bench, held)),
        examples=(*examples, *more),
        drawn=draw(bench, "diagnosis", prompt.row, groups),
    )


def _named(prompt: CasePrompt, illness: str, said: str) -> bool:
    begin, _, rest = said.partition(SIGN)
    return begin == illness and any(rest.startswith(sign) for sign in build_world().illnesses[illness])


def _signed(prompt: CasePrompt, illness: str, said: str) -> bool:
    own = build_world().illnesses[prompt.kind]
    return any(said.startswith(sign) for sign in build_world().illnesses[illness] if sign not in own)


def _own_sign(prompt: CasePrompt, illness: str) -> str:
    """A sign of an illness that is none of the prompt's."""
    own = build_world().illnesses[prompt.kind]
    return next(sign for sign in build_world().illnesses[illness] if sign not in own)


def _without(bench: CaseContext, held: list[CasePrompt]) -> str:
    right = [
        said.startswith(prompt.about["fourth"])
        for prompt, said in zip(held, bench.answers(held, [[] for _ in held], 3), strict=True)
    ]
    return (
        f"Without any change the fourth sign is right in {sum(right) / len(right):.0%} of the held-out cases."
    )


def _prompts(bench: CaseContext, half: str, count: int) -> list[CasePrompt]:
    rng = bench.rng(f"diagnosis-{half}")
    cases = [
        (name, left)
        for name in build_world().illnesses
        for left in range(4)
        if held_out("diagnosis", name, left) == (half == "test")
    ]
    prompts = []
    for number in range(count):
        name, left = cases[number % len(cases)]
        signs = [sign for index, sign in enumerate(build_world().illnesses[name]) if index != left]
        rng.shuffle(signs)
        question = rng.choice(CORES).format(*signs)
        end = answer_begins(bench.model, question)
        row = asked(bench.model, question, f"{beginning(rng)} the illness is")
        about = {"question": question, "fourth": build_world().illnesses[name][left], "begin": row}
        prompts.append(
            CasePrompt(row, (end - 5, end - 4, end - 2, end - 1, len(row) - 1), name, about, subject=name)
        )
    rng.shuffle(prompts)
    return prompts


def _with_name(bench: CaseContext, prompt: CasePrompt) -> CasePrompt:
    """The answer with the right illness named, up to its sign."""
    row = asked(bench.model, prompt.about["question"], f"Sure, the illness is {prompt.kind}{SIGN.rstrip()}")
    name = len(row) - 5
    return CasePrompt(row, (name, len(row) - 1), prompt.kind, prompt.about, subject=prompt.kind)
