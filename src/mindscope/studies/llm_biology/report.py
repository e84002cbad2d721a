"""The page: one table of all families, then each with its hypothesis, picture, verdicts and examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindscope.circuits import AttributionGraph, Supernode
from mindscope.jobs import TEST_BED
from mindscope.reports import AnswerCard, AnswerSample, Report
from mindscope.studies.common import add_settings, begin_page, claim_rows
from mindscope.studies.llm_biology.documents import CaseResult
from mindscope.studies.llm_biology.picture import picture

PAPER = "Lindsey et al. 2025, “On the Biology of a Large Language Model”"
BESIDE = ("random features", "first words forced", "first words pushed", "no change", "moved")
"""What stands beside a rate."""
COLUMNS = ("family", "claim", "held-out prompts", *BESIDE, "shown")
CLAIM_FIELDS = ("statement", "measured", *BESIDE, "verdict")
"""What the columns behind the family show of a claim."""
GRAPH_COLUMNS = (
    "family", "features", "completeness", "replacement", "r, all free", "same sign", "slope", "NMSE",
    "r, norms held",
)  # fmt: skip


def book_rows(cases: Sequence[CaseResult]) -> list[list[Any]]:
    """A row for each verdict; a family without one says why."""
    rows: list[list[Any]] = []
    for case in cases:
        if case.failure:
            rows.append([case.family, case.failure, *(None for _ in COLUMNS[3:]), "no verdict"])
        rows += claim_rows(case.claims(), "subject", *CLAIM_FIELDS)
    return rows


def graph_rows(cases: Sequence[CaseResult]) -> list[list[Any]]:
    """A row for each graph: how complete it is, and how its predictions hold."""
    rows = []
    for case in cases:
        if (drawn := case.drawn) is not None:
            free, held = (drawn.checks.get(mode) for mode in ("open", "frozen_norms"))
            rows.append(
                [
                    case.family,
                    drawn.features,
                    drawn.completeness,
                    drawn.replacement,
                    free and free.r,
                    free and free.sign_agreement,
                    free and free.slope,
                    free and free.nmse,
                    held and held.r,
                ]
            )
    return rows


def book_report(cases: Sequence[CaseResult], folder: Path, facts: dict[str, Any]) -> Report:
    """The page of a book.

    Args:
        cases: the families.
        folder: of the run, where their graphs are.
        facts: named values, such as the model and the dictionary.
    """
    asked_of = "the second organism" if facts.get("world") == "second" else "the organism, and characters"
    subtitle = f"families of {PAPER}, on {asked_of}"
    report = begin_page("The case book", subtitle, TEST_BED)
    report.section(
        "Verdicts",
        "The share of held-out prompts in which the intervention did what is claimed, of those where it was "
        "not so anyway, with a 95 % interval over subjects (n prompts on so many subjects). A verdict is of "
        "changes at no token that predicts the answer's first word; what changes there do is reported. "
        "Beside it, of the same prompts: random features that are active there and move the residual stream "
        "as far; the answer's first words put there, with no feature touched (empty where they are the whole "
        "answer); the stream moved as far along the unembedding directions of these words, where they are "
        "predicted; no change at all; and how far exchange and random features move the residual stream. "
        "Shown: the whole interval above 80 % and above the random features', set beforehand, for the "
        "paper's own claims; weaker ones are reported. Which tokens and layers, how many features and how "
        "strong was chosen on the first half of the prompts, by whole answers.",
    )
    report.table(COLUMNS, book_rows(cases))
    report.table(
        GRAPH_COLUMNS,
        graph_rows(cases),
        "The graph of one held-out prompt of each family. r: predicted against actual changes of other nodes "
        "as each of the 20 most influential features is turned off, with everything else free to change, and "
        "with attention patterns and norms held, as a graph has them. Slope: of actual on predicted changes; "
        "NMSE: squared error over the actual changes' squares, 1 as if no change were foretold.",
    )
    for case in cases:
        _case(report, case, folder)
    return add_settings(report, facts)


def _case(report: Report, case: CaseResult, folder: Path) -> None:
    report.section(case.title, case.hypothesis)
    if case.failure:
        report.note(f"No verdict: {case.failure}.")
        return
    report.text(f"{PAPER}: {case.section}.")
    if case.found:
        report.text(f"How the groups were found. {case.found}")
    if case.verdicts:
        report.table(COLUMNS[1:], claim_rows(case.claims(), *CLAIM_FIELDS))
    for fact in case.facts:
        report.text(fact)
    if (drawn := case.drawn) is not None:
        graph = AttributionGraph.load(folder / drawn.graph)
        groups = tuple(Supernode(label=label, members=members) for label, members in drawn.supernodes)
        report.figure(
            picture(graph, groups),
            f"“{drawn.prompt}”: direct edges between groups (with how many nodes), the tokens with the most "
            f"influence and the most probable output. The whole graph is in {drawn.page}.",
        )
    if case.examples:
        report.samples(
            [
                AnswerSample(
                    example.prompt,
                    [
                        AnswerCard("as it is", example.before),
                        AnswerCard(f"changed, {example.note}", example.after),
                    ],
                )
                for example in case.examples
            ],
            "The first held-out prompts of each intervention",
            shown=3,
        )
    if case.settings:
        report.facts(dict(case.settings))
