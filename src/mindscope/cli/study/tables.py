"""What `mindscope study` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.output import print_table, print_text
from mindscope.core import format_duration

if TYPE_CHECKING:
    from mindscope.studies.common import StudyReport


def print_study(result: StudyReport) -> None:
    """A row for every claim, the time, and where the page is."""
    from mindscope.studies.common import CLAIM_COLUMNS, claim_table

    print_table(list(CLAIM_COLUMNS), claim_table(result.claims))
    print_text(f"took {format_duration(result.seconds)}\nreport: {result.report}")
