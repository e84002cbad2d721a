"""What `mindscope conform` prints: a row per check, and what steering costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_records, print_table, say

if TYPE_CHECKING:
    from mindscope.server.conform.results import ConformReport


def print_conform(report: ConformReport) -> None:
    """The checks, then the costs; what a failure looks like on stderr."""
    rows = [[check.name, check.outcome, check.worst, check.bound, check.claim] for check in report.checks]
    title = f"{report.url}: vectors of {report.coefficient:.4g} at layer {report.layer}"
    print_table(["check", "outcome", "worst", "bound", "claim"], rows, title)
    print_records(
        [
            {
                "requests": cost.requests,
                "vectors": cost.vectors,
                "tokens/s": round(cost.tokens_per_second, 1),
                "unsteered": round(cost.unsteered_tokens_per_second, 1),
                "overhead": f"{cost.overhead:.1%}",
            }
            for cost in report.costs
        ]
    )
    for check in report.checks:
        if check.note:
            say(f"{check.name}: {check.note}")
