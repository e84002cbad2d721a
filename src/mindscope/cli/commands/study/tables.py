"""What `mindscope study` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text
from mindscope.core import format_duration

if TYPE_CHECKING:
    from mindscope.studies.common import StudyReport
    from mindscope.studies.induction import InductionReport

SHOWN = 10
"""Heads of a model that are printed; `--json` has all."""


def print_study(result: StudyReport) -> None:
    """A row for every claim, the time, and where the page is."""
    from mindscope.studies.common import CLAIM_COLUMNS, claim_table

    print_table(list(CLAIM_COLUMNS), claim_table(result.claims))
    print_text(f"took {format_duration(result.seconds)}\nreport: {result.report}")


def print_induction(result: InductionReport) -> None:
    """The best heads of a loaded model, then as every study."""
    from mindscope.studies.induction import HEAD_COLUMNS, head_table

    if result.heads:
        print_table(list(HEAD_COLUMNS), head_table(result.heads[:SHOWN]), "heads")
    print_study(result)
