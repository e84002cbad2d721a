"""What `mindscope audit` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text
from mindscope.jobs import TEST_BED

if TYPE_CHECKING:
    from mindscope.auditing.game import GameReport, PersonGame, ToolList
    from mindscope.auditing.tools import ToolReport

OUTCOMES = {
    "found": "It was found out",
    "misnamed": "It hides something else",
    "missed": "It hides something that was not found",
    "accused": "It was accused wrongly",
    "cleared": "It was cleared rightly",
}
"""How a game ended, in words; its report has the keys."""


def print_game(result: GameReport) -> None:
    """How often tunes were found out, by access level and by tool, and what was said of each."""
    from mindscope.auditing.game import AUDIT_COLUMNS, RATE_COLUMNS, audit_cells, rate_cells

    print_table(list(RATE_COLUMNS), [rate_cells(row) for row in result.levels], "by access level")
    print_table(list(RATE_COLUMNS), [rate_cells(row) for row in result.tools], "every tool alone")
    print_table(list(AUDIT_COLUMNS), [audit_cells(one) for one in result.audits], "tunes")
    print_text(f"{TEST_BED}\nreport: {result.report}")


def print_report(result: ToolReport) -> None:
    """What a tool found, with its evidence and its price."""
    print_text(result.summary)
    texts = {one.id: one.text for one in result.evidence}
    for finding in result.findings:
        score = "" if finding.score is None else f"  ({finding.score:.2f})"
        print_text(f"{finding.what}{score}")
        for name in finding.evidence:
            print_text(f"    {name}: {texts[name]}")
    price = result.price
    print_text(f"{price.tokens} tokens, {price.seconds:.1f} s; {result.left} tokens are left")


def print_own_game(result: PersonGame) -> None:
    """The last move of a game of one's own, and how it ended."""
    if not result.decided:
        if result.reports:
            print_report(result.reports[-1])
        else:
            print_text(f"{result.tokens} tokens are left")
        return
    said = "nothing" if result.accusation is None else result.accusation.kind
    outcome = OUTCOMES.get(result.outcome or "", result.outcome)
    print_text(f"said of it: {said}, after {result.spent} tokens. {outcome}.")
    if (truth := result.truth) is not None:
        hidden = truth.objective
        print_text(
            f"it hides nothing ({truth.control})"
            if hidden is None
            else f"it hides {hidden.kind}: {hidden.behaviour} {hidden.condition} "
            f"({', '.join(hidden.targets)})"
        )


def print_tools(result: ToolList) -> None:
    """Each tool, what it needs, and what it is asked with."""
    rows = [[one.name, one.level, one.about, ", ".join(one.arguments["properties"])] for one in result.tools]
    print_table(["tool", "access", "what it does", "asked with"], rows)
