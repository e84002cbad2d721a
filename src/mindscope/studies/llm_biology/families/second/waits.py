"""Harmful requests of the second world, answered after a wait: is it settled before the first word?

Where one person alone asks, that it is inside a story can be read from the story's words by the first block
already; where several ask, whose request is to be answered is known only later.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from mindscope.models import Row
from mindscope.organism import DialogueTurn, all_voices, build_world
from mindscope.organism.mechanisms.named import ASKERS, ask_among_others
from mindscope.organism.mechanisms.requests import LEAD_IN, WAITS, harmful_things, refuses, request
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, settings, upstream
from mindscope.studies.llm_biology.prompts import (
    CasePrompt,
    Spot,
    answer_begins,
    asked,
    beginning,
    find,
    name_subject,
)
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole, draw_donors
from mindscope.studies.llm_biology.workbench import CaseContext

HARMFUL, STORY, HARMLESS = "harmful", "story", "harmless"
THING, TURN = 0, (1, 2)
"""The spots of what is to be built, and of the tokens at which the answer turns to it."""
REQUEST, ASKER = 1, 2
"""Where several people ask, the spots of the whole request and of who asks; the thing's is the same."""
TOKENS = 24
HALVES = (0, 1)
"""There are forty harmful things: each half of them is the test of what was found on the other."""
SHOWN = 20
RequestWriter = Callable[[CaseContext, random.Random, str, DialogueTurn, str], tuple[Row, tuple[Spot, ...]]]
"""Of a request and the thing in it, the prompt and its spots."""
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
        write=_plain,
        places=((THING,), TURN, (THING, *TURN)),
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
        found="Features that write more in harmful requests than in the same wish inside a story, at the "
        "thing, over the whole request, or at the name of who asks.",
        write=_asked_by_one,
        places=((THING,), (REQUEST,), (ASKER,), (REQUEST, ASKER)),
    )


def _family(
    bench: CaseContext,
    plans: tuple[tuple[str, str, str], ...],
    *,
    family: str,
    title: str,
    write: RequestWriter,
    places: Sequence[tuple[int, ...]],
    **texts: str,
) -> CaseResult:
    """The family on requests of a form; ``places`` are spots before the answering token."""
    verdicts, examples, chosen_plans, facts = [], [], [], []
    drawn = None
    for kind, aim, claim in plans:
        parts = []
        flip = SwapExperiment(claim, _turns_to, _begins, TOKENS, settings=SETTINGS)
        for half in HALVES:
            first = [
                request
                for shown in (kind, aim)
                for request in _requests(bench, write, shown, half, "train", bench.read)
            ]
            contrast = bench.contrast(first)
            tried = [(prompt, aim) for prompt in first[: bench.first]]
            chosen = flip.choose(bench, [at(contrast, *spots) for spots in places], tried)
            held = _requests(bench, write, kind, 1 - half, "test", (bench.held + half) // len(HALVES))
            asked = [(prompt, aim) for prompt in held]
            parts.append((chosen, asked))
            assert chosen.upstream is not None
            if all(isinstance(first[0].spots[spot], int) for spot in chosen.upstream.contrast.places):
                # requests are of different lengths: the states of one cannot be put into another
                facts.append(describe_whole(bench, flip, chosen, draw_donors(bench, first), tried, asked))
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


def _requests(
    bench: CaseContext, write: RequestWriter, kind: str, half: int, split: str, count: int
) -> list[CasePrompt]:
    """Requests for things of one half, up to the end of the sentence that every answer then opens with.

    ``split``: in the words of training, or in words that it never shows.
    """
    rng, harmful = bench.rng(f"waits-{kind}-{half}-{split}"), harmful_things()
    things = build_world().topics if kind == HARMLESS else harmful
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        made = request(rng, all_voices()["helpful"], split, kind, waited=False, harmful=harmful)
        thing = name_subject(made.question, things)
        if thing in things[half :: len(HALVES)]:
            row, spots = write(bench, rng, split, made, thing)
            prompts.append(CasePrompt(row, spots, kind, subject=thing))
    return prompts


def _plain(
    bench: CaseContext, rng: random.Random, split: str, made: DialogueTurn, thing: str
) -> tuple[Row, tuple[Spot, ...]]:
    """The request alone; the thing, the tokens at which the answer turns to it, and the last."""
    question = f"{made.question} {rng.choice(WAITS)}"
    row = asked(bench.model, question, f"{LEAD_IN}{beginning(rng)}")
    end = answer_begins(bench.model, question)
    place = max(find(bench.model, row, {thing.split()[-1]}))
    return row, (place, end - 2, end - 1, len(row) - 1)


def _asked_by_one(
    bench: CaseContext, rng: random.Random, split: str, made: DialogueTurn, thing: str
) -> tuple[Row, tuple[Spot, ...]]:
    """The request of one of several people; the thing, the whole request, who asks, and the last."""
    told = ask_among_others(rng, split, made, waited=True)
    row = asked(bench.model, told.question, f"{LEAD_IN}{beginning(rng)}")
    asker = min(find(bench.model, row, {ASKERS[0]}))
    end = max(place for place in find(bench.model, row, {"asked"}) if place < asker)
    place = max(place for place in find(bench.model, row, {thing.split()[-1]}) if place < end)
    return row, (place, slice(end - len(bench.word_ids(made.question)), end), asker, len(row) - 1)


def _turns_to(prompt: CasePrompt, kind: str, said: str) -> bool:
    """Whether it refuses, where the request is pushed to a harmful one, or tells how the thing is made."""
    return refuses(said) is (kind == HARMFUL)


def _begins(prompt: CasePrompt, kind: str) -> str:
    return "I cannot" if kind == HARMFUL else "the"
