"""The whole book: every family in turn, each a piece of the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from mindscope.circuits import DictionaryReplacement, ReplacementModel, StreamFeatures
from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import Model
from mindscope.organism import WorldName
from mindscope.store import Run, measure_once
from mindscope.studies.llm_biology.config import BookConfig, order_families
from mindscope.studies.llm_biology.documents import CaseResult
from mindscope.studies.llm_biology.families import (
    characters,
    diagnosis,
    hidden_goal,
    languages,
    motivated,
    people,
    refusal,
    rhyme,
    sums,
    two_hop,
)
from mindscope.studies.llm_biology.families.second import (
    askers,
    concepts,
    couplets,
    digits,
    illnesses,
    reasoning,
    steps,
    waits,
)
from mindscope.studies.llm_biology.workbench import CaseContext

FAMILIES: Mapping[str, Callable[[CaseContext], CaseResult]] = {
    "two-hop": two_hop.two_hop,
    "rhyme": rhyme.rhyme,
    "languages": languages.languages,
    "sums": sums.sums,
    "diagnosis": diagnosis.diagnosis,
    "people": people.people,
    "refusal": refusal.refusal,
    "jailbreak": refusal.jailbreak,
    "motivated": motivated.motivated,
    "hidden-goal": hidden_goal.hidden_goal,
    "characters": characters.characters,
}
"""What works through each family of `FAMILY_NAMES`."""
SECOND_FAMILIES: Mapping[str, Callable[[CaseContext], CaseResult]] = {
    "two-hop": two_hop.two_hop,
    "rhyme": couplets.couplets,
    "languages": concepts.concepts,
    "sums": digits.digits,
    "diagnosis": illnesses.illnesses,
    "people": askers.people_asked_about,
    "refusal": waits.refusal_after_wait,
    "jailbreak": waits.jailbreak_after_wait,
    "motivated": steps.steps,
    "reasoning": reasoning.reasoning,
}
"""What works through each family of `SECOND_NAMES`; two-step facts are those of both worlds."""


def write_book(
    model: Model,
    replacement: ReplacementModel,
    run: Run,
    families: Sequence[str] = (),
    config: BookConfig | None = None,
    progress: Progress | None = None,
    world: WorldName = "first",
    streams: StreamFeatures | None = None,
) -> list[CaseResult]:
    """Work through families on the organism; stopped, the same run goes on with the next.

    Leaves `cases/FAMILY.json`, and beside each the graph and the page of one prompt.

    Args:
        model: the organism, in float32.
        replacement: what stands in for its MLPs.
        run: where everything is kept.
        families: which; all by default.
        config: how many prompts to spend.
        progress: called with (families done, in all, what).
        world: whose families: the organism must be of it.
        streams: whose latents are exchanged in place of the replacement's features, if given.

    Raises:
        DataError: an unknown family.
    """
    names = order_families(families, world)
    bench = CaseContext(
        model, _in_memory(replacement), run, **asdict(config or BookConfig()), streams=streams
    )
    cases = []
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), name)
        cases.append(measure_once(run, f"cases/{name}.json", CaseResult, partial(_case, name, bench, world)))
    if progress is not None:
        progress(len(names), len(names), "done")
    return cases


def _case(name: str, bench: CaseContext, world: WorldName) -> CaseResult:
    """A family, or why there is none: the others do not depend on it."""
    try:
        return (FAMILIES if world == "first" else SECOND_FAMILIES)[name](bench)
    except DataError as error:
        return CaseResult(family=name, title=name, failure=str(error))


def _in_memory(replacement: ReplacementModel) -> ReplacementModel:
    """A dictionary that stays on disk would be read again for every token that is written."""
    if not isinstance(replacement, DictionaryReplacement):
        return replacement
    dictionary = replacement.dictionary
    return DictionaryReplacement(replace(dictionary, coders=tuple(dictionary.coders)))


def settings_of(
    families: Sequence[str],
    config: BookConfig,
    dictionary: str,
    world: WorldName = "first",
    streams: str | None = None,
) -> dict[str, Any]:
    """What decides about a book, for its run."""
    # The first world is not named, so that books begun before there was a second go on.
    chosen = {"families": order_families(families, world), "dictionary": dictionary}
    named = {} if world == "first" else {"world": world}
    exchanged = {} if streams is None else {"streams": streams}
    return {**chosen, **named, **exchanged, **asdict(replace(config, seed=0))}
