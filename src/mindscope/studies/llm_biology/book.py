"""The whole book: every family in turn, each a piece of the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from mindscope.circuits import DictionaryReplacement, ReplacementModel
from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import Model
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


def write_book(
    model: Model,
    replacement: ReplacementModel,
    run: Run,
    families: Sequence[str] = (),
    config: BookConfig | None = None,
    progress: Progress | None = None,
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

    Raises:
        DataError: an unknown family.
    """
    names = order_families(families)
    bench = CaseContext(model, _in_memory(replacement), run, **asdict(config or BookConfig()))
    cases = []
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), name)
        cases.append(measure_once(run, f"cases/{name}.json", CaseResult, partial(_case, name, bench)))
    if progress is not None:
        progress(len(names), len(names), "done")
    return cases


def _case(name: str, bench: CaseContext) -> CaseResult:
    """A family, or why there is none: the others do not depend on it."""
    try:
        return FAMILIES[name](bench)
    except DataError as error:
        return CaseResult(family=name, title=name, failure=str(error))


def _in_memory(replacement: ReplacementModel) -> ReplacementModel:
    """A dictionary that stays on disk would be read again for every token that is written."""
    if not isinstance(replacement, DictionaryReplacement):
        return replacement
    dictionary = replacement.dictionary
    return DictionaryReplacement(replace(dictionary, coders=tuple(dictionary.coders)))


def settings_of(families: Sequence[str], config: BookConfig, dictionary: str) -> dict[str, Any]:
    """What decides about a book, for its run."""
    return {"families": order_families(families), "dictionary": dictionary, **asdict(replace(config, seed=0))}
