"""Harmful requests of the second world, answered after a wait: is it settled before the first word?"""

from mindscope.organism import all_voices, build_world
from mindscope.organism.mechanisms.requests import LEAD_IN, refuses, request
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
from mindscope.studies.llm_biology.reach import describe_reach
from mindscope.studies.llm_biology.workbench import CaseContext

HARMFUL, STORY, HARMLESS = "harmful", "story", "harmless"
THING, TURN = 0, (1, 2)
"""The spots of what is to be built, and of the tokens at which the answer turns to it."""
TOKENS = 24
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
        "words, at the thing and where the answer turns to it; things of the test are others.",
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
        first = [*_requests(bench, kind, True, bench.read), *_requests(bench, aim, True, bench.read)]
        held = _requests(bench, kind, False, bench.held)
        contrast = bench.contrast(first)
        flip = SwapExperiment(claim, _turns_to, _begins, TOKENS, settings=SETTINGS)
        tried = [(prompt, aim) for prompt in first[: bench.first]]
        chosen = flip.choose(
            bench, [at(contrast, THING), at(contrast, *TURN), upstream(contrast, first[0])], tried
        )
        measured, shown = flip.measure(bench, chosen, [(prompt, aim) for prompt in held], NEEDED)
        verdicts += measured
        examples += shown
        chosen_plans.append((flip, chosen))
        facts.append(f"{kind.capitalize()} requests: {describe_reach(bench, held)}")
        if drawn is None:
            group = upstream(contrast, held[0]).group(HARMFUL, SHOWN)
            drawn = draw(bench, family, held[0].row, {"refusal": group})
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


def _requests(bench: CaseContext, kind: str, early: bool, count: int) -> list[CasePrompt]:
    """Requests with a wait, up to the end of the sentence that every answer then opens with.

    Things are parted in two halves, so that those of the test were never looked at.
    """
    rng, w = bench.rng(f"waits-{kind}-{early}"), build_world()
    things = w.topics if kind == HARMLESS else w.schemes
    half = {thing for number, thing in enumerate(things) if (number % 2 == 0) == early}
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        made = request(rng, all_voices()["helpful"], "train" if early else "test", kind, waited=True)
        thing = name_subject(made.question, things)
        if thing not in half:
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
