"""What `mindscope circuit known` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text

if TYPE_CHECKING:
    from mindscope.studies.known_circuits import KnownCircuitsReport


def print_known_circuits(result: KnownCircuitsReport) -> None:
    """A row for every claim, and one for every graph."""
    from mindscope.studies.known_circuits import CLAIM_COLUMNS, GRAPH_COLUMNS, claim_table, graph_table

    print_table(list(CLAIM_COLUMNS), claim_table(result.result))
    print_table(list(GRAPH_COLUMNS), graph_table(result.result), "graphs")
    print_text(f"report: {result.report}")
