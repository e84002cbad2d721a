"""What pages of studies have in common: a head that says what to make of them, the claims, the end."""

from collections.abc import Mapping, Sequence

from mindscope.reports import Report
from mindscope.studies.common.claims import Claim
from mindscope.studies.common.study import CLAIM_COLUMNS, claim_table

PRINTED = "What does not hold is printed."


def begin_page(title: str, subtitle: str, note: str = "") -> Report:
    """A page with what a reader must know at its head, such as that the model is a test bed."""
    report = Report(title, subtitle)
    return report.note(note) if note else report


def add_claims(
    report: Report, claims: Sequence[Claim], intervals: str = "", *, note: str = PRINTED
) -> Report:
    """What became of each claim, before anything else; `intervals` says what theirs are over."""
    note = f"{note} {intervals}" if intervals else note
    return report.section("Claims", note).table(list(CLAIM_COLUMNS), claim_table(claims))


def add_settings(report: Report, facts: Mapping[str, object]) -> Report:
    """With what, and how, everything was measured."""
    return report.section("Settings").facts(dict(facts))


def end_page(report: Report, facts: Mapping[str, object], seconds: Mapping[str, float]) -> Report:
    """How long each piece took, and the settings, at the end of the page."""
    report.section("Time").table(
        ["piece", "seconds"],
        [[name, value] for name, value in seconds.items()],
        "On a machine that may be shared.",
    )
    return add_settings(report, facts)
