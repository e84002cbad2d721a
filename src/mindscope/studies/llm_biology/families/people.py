"""Known and unknown people: what makes the model say that it does not know somebody."""

import re
import zlib
from collections.abc import Callable, Sequence

from mindscope.organism import build_world
from mindscope.studies.llm_biology.contrast import SwapSetting
from mindscope.studies.llm_biology.documents import NEEDED, CaseResult
from mindscope.studies.llm_biology.drawn import draw
from mindscope.studies.llm_biology.flip import SwapExperiment, at, describe_settings, settings
from mindscope.studies.llm_biology.prompts import CasePrompt, answer_begins, asked, beginning, find, questions
from mindscope.studies.llm_biology.reach import describe_reach, describe_whole, draw_donors
from mindscope.studies.llm_biology.workbench import CaseContext

KNOWN, UNKNOWN = "known", "unknown"
DOMAIN = {KNOWN: "person", UNKNOWN: "unknown-person"}
OTHER = {KNOWN: UNKNOWN, UNKNOWN: KNOWN}
LAST = 6
CLAIM = re.compile(r" is an? \w+ from \w+")
TOKENS = 16
NAME, REQUEST = (0, 1), (2, 3, 4, 5)
"""The spots of the name, and those where the question ends and the answer turns to it."""
SETTINGS = settings((5, 20), (0.0, 1.0), (-1.0, -2.0, -4.0, -8.0))


PromptWriter = Callable[[CaseContext, str, str, int], list[CasePrompt]]
"""Of a kind and a half, so many prompts."""


def people(bench: CaseContext) -> CaseResult:
    """Features of the known and of the unknown, exchanged at the name, or where the question ends."""
    return exchange_people(
        bench, _prompts, (NAME, REQUEST, (LAST,)), "at the name or where the question ends"
    )


def exchange_people(
    bench: CaseContext,
    write: PromptWriter,
    places: Sequence[tuple[int, ...]],
    where: str,
    tried_of_strangers: tuple[SwapSetting, ...] = SETTINGS,
) -> CaseResult:
    """The family on prompts of a form; ``places`` are spots, the answering token's last."""
    first = {kind: write(bench, kind, "train", bench.read // 3) for kind in DOMAIN}
    held = {kind: write(bench, kind, "test", bench.held) for kind in DOMAIN}
    contrast = bench.contrast([*first[KNOWN], *first[UNKNOWN]])
    flips = {
        KNOWN: SwapExperiment(
            "of known people it says that it does not know them",
            lambda prompt, _, said: f"I do not know who {prompt.about['name']}" in said,
            lambda prompt, kind: "I",
            TOKENS,
        ),
        UNKNOWN: SwapExperiment(
            "of unknown people it claims an occupation",
            lambda prompt, _, said: said.startswith(prompt.about["first"]) and bool(CLAIM.search(said)),
            lambda prompt, kind: prompt.about["first"],
            TOKENS,
            settings=tried_of_strangers,
        ),
    }
    verdicts, examples, plans, whole = [], [], [], []
    for kind, flip in flips.items():
        tried = [(prompt, OTHER[kind]) for prompt in first[kind][: bench.first]]
        chosen = flip.choose(bench, [at(contrast, *spots) for spots in places], tried)
        asked_of = [(prompt, OTHER[kind]) for prompt in held[kind]]
        measured, shown = flip.measure(bench, chosen, asked_of, NEEDED)
        whole.append(
            describe_whole(bench, flip, chosen, draw_donors(bench, first[OTHER[kind]]), tried, asked_of)
        )
        verdicts += measured
        examples += shown
        plans.append((flip, chosen))
    prompt = held[UNKNOWN][0]
    groups = {f"{kind} person": at(contrast, *places[-1]).group(kind, 20) for kind in (UNKNOWN, KNOWN)}
    return CaseResult(
        family="people",
        title="Known and unknown people",
        hypothesis="The model declines to speak of people by default; features of known entities inhibit "
        "that. Turned off they make it plead ignorance of the famous, turned on they make it claim things of "
        "strangers.",
        section="Entity recognition and hallucinations",
        found="Features that write more in questions about known people than in questions about strangers, "
        f"and the reverse, {where}; other people than in the test.",
        settings=describe_settings(plans),
        verdicts=tuple(verdicts),
        facts=(*(f"{kind} people: {describe_reach(bench, held[kind])}" for kind in DOMAIN), *whole),
        examples=tuple(examples),
        drawn=draw(bench, "people", prompt.row, groups),
    )


def _prompts(bench: CaseContext, kind: str, half: str, count: int) -> list[CasePrompt]:
    rng, w = bench.rng(f"people-{kind}-{half}"), build_world()
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        (made,) = questions(DOMAIN[kind], half, 1, rng)
        row = asked(bench.model, made.question, beginning(rng))
        (last,) = find(bench.model, row, {*w.last_names})
        name = bench.model.decode(row.ids[last - 1 : last + 1]).strip()
        if not is_of_half(name, kind, half):
            continue
        end = answer_begins(bench.model, made.question)
        spots = (last - 1, last, end - 4, end - 3, end - 2, end - 1, len(row) - 1)
        prompts.append(CasePrompt(row, spots, kind, {"name": name, "first": name.split()[0]}, subject=name))
    return prompts


def is_of_half(name: str, kind: str, half: str) -> bool:
    """Known people are the same in both halves of the phrasings: a hash parts them."""
    return kind == UNKNOWN or (zlib.crc32(name.encode()) % 2 == 0) == (half == "train")
