"""What `mindscope diff` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindscope.cli.terminal.output import print_table, print_text, say

if TYPE_CHECKING:
    from mindscope.diffing import VerifiedClaim
    from mindscope.jobs.diff import DiffReport


def print_difference(result: DiffReport) -> None:
    """The claims, verified ones first, what the answers alone show, and where the page is."""
    for note in result.notes:
        say(note)
    columns = ["claim", "base", "tuned", "in", "verdict"]
    ordered = sorted(result.claims, key=lambda claim: not claim.verified)
    if ordered:
        print_table(columns, [_row(claim) for claim in ordered], "claims")
    if result.baseline:
        print_table(columns, [_row(claim) for claim in result.baseline], "from the answers alone")
    for step in result.skipped:
        say(f"no {step.rung}: {step.reason}")
    print_text(f"{result.verdict}\nreport: {result.report}")


def _row(claim: VerifiedClaim) -> list[object]:
    verdict = "verified" if claim.verified else f"failed: {', '.join(dict.fromkeys(claim.failed))}"
    return [claim.sentence, claim.base, claim.tuned, claim.units, verdict]
