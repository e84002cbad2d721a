"""The page of known circuits: claims, graphs, heads, and the exchange of names."""

from collections.abc import Sequence
from typing import Any

from mindscope.reports import Report
from mindscope.studies.common import add_settings, begin_page, claim_rows
from mindscope.studies.known_circuits.results import HeadEffect, KnownCircuits

CLAIM_COLUMNS = ("about", "claim", "needed", "measured", "beside it", "holds")
GRAPH_COLUMNS = (
    "prompt", "answer", "P(answer)", "likeliest", "replacement", "completeness", "least", "r, all free",
    "slope", "r, norms held", "slope, held",
)  # fmt: skip


def claim_table(result: KnownCircuits) -> list[list[Any]]:
    """A row for each claim."""
    claims = result.claims()
    rows = claim_rows(claims, "subject", "statement", "needed", "measured")
    beside = ["; ".join(f"{name} {value}" for name, value in claim.beside.items()) for claim in claims]
    return [[*row, text, claim.verdict] for row, text, claim in zip(rows, beside, claims, strict=True)]


def graph_table(result: KnownCircuits) -> list[list[Any]]:
    """A row for each traced prompt."""
    return [
        [
            traced.name,
            traced.answer.strip(),
            traced.probability,
            traced.likeliest.strip(),
            traced.replacement,
            traced.completeness,
            f"{traced.least_replacement:.2f}, {traced.least_completeness:.2f}",
            traced.open.r,
            traced.open.slope,
            traced.held and traced.held.r,
            traced.held and traced.held.slope,
        ]
        for traced in result.traced
    ]


def build_page(result: KnownCircuits, facts: dict[str, Any]) -> Report:
    """The page."""
    report = begin_page("Known circuits", f"{result.model}: indirect objects, a fact, an opposite, induction")
    report.section("Claims", "What fails is printed.")
    report.table(list(CLAIM_COLUMNS), claim_table(result))
    report.section(
        "Graphs",
        "Scores count features that are no nodes as explained; “least” counts them as errors. r and slope "
        "compare the graph's predictions with the model when features are turned off.",
    )
    report.table(list(GRAPH_COLUMNS), graph_table(result))
    report.section(
        "Heads",
        f"Of the textbook prompt, and means over {result.heads.prompts} others that were drawn. A loading is "
        "what a head carries of the edges into the difference of the two names' logits; patching puts a "
        "head's output of the opposite prompt in its place. Over all heads of the drawn prompts the two "
        f"correlate with r {result.heads.correlation:.2f}.",
    )
    columns = ["head", "loading", "patched"]
    for about, ranking in (("textbook prompt", result.textbook), ("drawn prompts", result.heads)):
        for order, effects in (("loadings", ranking.loaded), ("patching", ranking.patched)):
            report.table(columns, _head_rows(effects), f"The strongest by {order}, {about}.")
    swap = result.swap
    report.section(
        "Names exchanged",
        f"{swap.features} features at the receiver's name, moved {swap.strength} times from their means "
        "with that name to their means with another; intervals are over frames of the prompts. The answer "
        "is one word, so that putting it there would be the whole answer: pushes of the same size stand in.",
    )
    rates = ("right", "swapped", "random", "pushed", "pushed_at_name")
    names = (
        "the receiver, unchanged",
        "exchanged",
        "random features",
        "pushed at the end",
        "pushed at the name",
    )
    report.table(
        ["what is done", "says the wanted name"],
        [[name, str(getattr(swap, rate))] for name, rate in zip(names, rates, strict=True)],
    )
    return add_settings(report, facts)


def _head_rows(effects: Sequence[HeadEffect]) -> list[list[Any]]:
    return [[effect.name, effect.loading, effect.patched] for effect in effects]
