"""Known and unknown people of the second world, asked about by one of several people.

Where one person alone asks, the name can be read from its own tokens by the first block already; where others
ask of others, which one is meant is known only later.
"""

from mindscope.organism import build_world
from mindscope.organism.mechanisms.named import ASKERS, ask_among_others
from mindscope.studies.llm_biology.documents import CaseResult
from mindscope.studies.llm_biology.families.people import DOMAIN, exchange_people, is_of_half
from mindscope.studies.llm_biology.flip import settings
from mindscope.studies.llm_biology.prompts import (
    CasePrompt,
    asked,
    beginning,
    find,
    name_subject,
    questions,
)
from mindscope.studies.llm_biology.workbench import CaseContext

NAME, ASKER, LAST = (0, 1), 2, 3
"""The spots of the name that is asked about, of who asks, and of the answering token."""
SETTINGS = settings((5, 20, 60), (1.0, 2.0, 4.0), (0.0, -1.0, -2.0, -4.0))
"""Of strangers."""


def people_asked_about(bench: CaseContext) -> CaseResult:
    """Features of the known and of the unknown, exchanged at the name, or at that of who asks."""
    return exchange_people(
        bench,
        _prompts,
        (NAME, (ASKER,), (*NAME, ASKER), (LAST,)),
        "at the name or at that of who asks",
        SETTINGS,
    )


def _prompts(bench: CaseContext, kind: str, half: str, count: int) -> list[CasePrompt]:
    rng, w = bench.rng(f"asked-about-{kind}-{half}"), build_world()
    names = [f"{first} {last}" for first in w.first_names for last in w.last_names]
    prompts: list[CasePrompt] = []
    while len(prompts) < count:
        (made,) = questions(DOMAIN[kind], half, 1, rng)
        name = name_subject(made.question, names)
        if not is_of_half(name, kind, half):
            continue
        told = ask_among_others(rng, half, made, waited=False)
        row = asked(bench.model, told.question, beginning(rng))
        asker = min(find(bench.model, row, {ASKERS[0]}))
        place = max(place for place in find(bench.model, row, {name.split()[1]}) if place < asker)
        about = {"name": name, "first": name.split()[0]}
        prompts.append(CasePrompt(row, (place - 1, place, asker, len(row) - 1), kind, about, subject=name))
    return prompts
