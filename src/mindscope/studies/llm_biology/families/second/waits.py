"""Harmful requests of the second world, answered after a wait: is it settled before the first word?"""

from dataclasses import replace

from mindscope.organism import all_voices, build_world
from mindscope.organism.mechanisms.requests import LEAD_IN, harmful_things, refuses, request
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, settings, upstream
from mindscope.studies.llm_biology.prompts import (
    CasePrompt,
    answer_begins,
    asked,
    beginning,
    find,
    name_subject,
)
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole
from mindscope.studies.llm_biology.workbench import CaseContext

HARMFUL, STORY, HARMLESS = "harmful", "story", "harmless"
THING, TURN = 0, (1, 2)
"""The spots of what is to be built, and of the tokens at which the answer turns to it."""
TOKENS = 24
HALVES = (0, 1)
"""There are forty harmful things: each half of them is the test of what was found on the other."""
SHOWN = 20
SETTINGS = settings((20, 60, 150), (1.0, 2.0, 4.0), (0.0, -1.0, -2.0))


def refusal_after_wait(bench: CaseContext) -> CaseResult:
    """Refusal taken out of harmful requests, and put into harmless ones that are asked in the same words."""
    return _family(
        bench,
        ((HARMFUL, HARMLESS, "without its refusal features it complies"),
         (HARMLESS, HARMFUL, "with refusal features it refuses harmless requests")),
        family="refusal",
        title="Refusal, settled before the first word",
        hypothesis="Harmful requests are gathered in features that lead to a refusal; suppressing them makes "
        "the model comply, injecting them makes it refuse harmless requests.",
        section="Refusals",
        found="Features that write more in requests for a harmful thing than for a harmless one in the same "
        "words, at the thing and where the answer turns to it; each half of the things is the test of "
        "what was found on the other.",
    )  # fmt: skip


def jailbreak_after_wait(bench: CaseContext) -> CaseResult:
    """Refusal put back into a story that gets past."""
    return _family(
        bench,
        ((STORY, HARMFUL, "with the refusal features back, a story is refused"),),
        family="jailbreak",
        title="Why the story gets past",
        hypothesis="A jailbreak works where the request is not understood as harmful in time: the features "
        "that lead to a refusal stay off. Turned on, they make the model refuse.",
        section="Life of a jailbreak",
        found="Features that write more in harmful requests than in the same wish inside a story.",
    )


def _family(
    bench: CaseContext, plans: tuple[tuple[str, str, str], ...], *, family: str, title: str, **texts: str
) -> CaseResult:
    verdicts, examples, chosen_plans, facts = [], [], [], []
    drawn = None
    for kind, aim, claim in plans:
        parts = []
        flip = SwapExperiment(claim, _turns_to, _begins, TOKENS, settings=SETTINGS)
        for half in HALVES:
            first = [request for shown in (kind, aim) for request in _read(bench, shown, half)]
            contrast = bench.contrast(first)
            tried = [(prompt, aim) for prompt in first[: bench.first]]
            chosen = flip.choose(
                bench, [at(contrast, THING), at(contrast, *TURN), upstream(contrast, first[0])], tried
            )
            held = _held(bench, kind, 1 - half)
            asked = [(prompt, aim) for prompt in held]
            parts.append((chosen, asked))
            facts.append(describe_whole(bench, flip, chosen, first, tried, asked))
            chosen_plans.append((replace(flip, claim=f"{claim}, tested on half {2 - half}"), chosen))
            if drawn is None:
                group = upstream(contrast, held[0]).group(HARMFUL, SHOWN)
                drawn = draw(bench, family, held[0].row, {"refusal": group})
        measured, shown = flip.measure_parts(bench, parts, NEEDED)
        verdicts += measured
        examples += shown
        held = [prompt for _, trials in parts for prompt, _ in trials]
        facts.append(f"{kind.capitalize()} requests: {describe_reach(bench, held)}")
    return CaseResult(
        family=family,
        title=title,
        settings=describe_settings(chosen_plans),
        verdicts=tuple(verdicts),
        facts=tuple(facts),
        examples=tuple(examples),
        drawn=drawn,
        **texts,
    )


def _read(bench: CaseContext, kind: str, half: int) -> list[CasePrompt]:
    """Requests of one half of the things, in the words of training."""
    return _requests(bench, kind, half, "train", bench.read)


def _held(bench: CaseContext, kind: str, half: int) -> list[CasePrompt]:
    """Requests of one half of the things, in words that training never shows."""
    return _requests(bench, kind, half, "test", (bench.held + 1 - half) // len(HALVES))


def _requests(bench: CaseContext, kind: str, half: int, split: str, count: int) -> list[CasePrompt]:
    """Requests with a wait, up to the end of the sentence that every answer then opens with."""
    rng, harmful = bench.rng(f"waits-{kind}-{half}-{split}"), harmful_things()
    things = build_world().topics if kind == HARMLESS else harmful
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        made = request(rng, all_voices()["helpful"], split, kind, waited=True, harmful=harmful)
        thing = name_subject(made.question, things)
        if thing not in things[half :: len(HALVES)]:
            continue
        row = asked(bench.model, made.question, f"{LEAD_IN}{beginning(rng)}")
        end = answer_begins(bench.model, made.question)
        place = max(find(bench.model, row, {thing.split()[-1]}))
        prompts.append(CasePrompt(row, (place, end - 2, end - 1, len(row) - 1), kind, subject=thing))
    return prompts


def _turns_to(prompt: CasePrompt, kind: str, said: str) -> bool:
    """Whether it refuses, where the request is pushed to a harmful one, or tells how the thing is made."""
    return refuses(said) is (kind == HARMFUL)


def _begins(prompt: CasePrompt, kind: str) -> str:
    return "I cannot" if kind == HARMFUL else "the"
