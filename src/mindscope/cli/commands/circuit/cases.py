"""What `mindscope circuit cases` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text
from mindscope.jobs import TEST_BED

if TYPE_CHECKING:
    from mindscope.studies.llm_biology import CaseBookReport


def print_cases(result: CaseBookReport) -> None:
    """A row for every claim, and one for every graph."""
    from mindscope.studies.llm_biology import COLUMNS, GRAPH_COLUMNS, book_rows, graph_rows

    print_table(list(COLUMNS), book_rows(result.cases))
    print_table(list(GRAPH_COLUMNS), graph_rows(result.cases), "graphs")
    print_text(TEST_BED)
    print_text(f"report: {result.report}")
