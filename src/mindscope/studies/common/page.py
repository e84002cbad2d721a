"""What the pages of studies have in common: a head that says what to make of them, and the settings."""

from collections.abc import Mapping

from mindscope.reports import Report


def begin_page(title: str, subtitle: str, note: str = "") -> Report:
    """A page with what a reader must know at its head, such as that the model is a test bed."""
    report = Report(title, subtitle)
    return report.note(note) if note else report


def add_settings(report: Report, facts: Mapping[str, object]) -> Report:
    """With what, and how, everything was measured."""
    return report.section("Settings").facts(dict(facts))


def add_time(report: Report, seconds: Mapping[str, float]) -> Report:
    """How long each piece took."""
    return report.section("Time").table(
        ["piece", "seconds"],
        [[name, value] for name, value in seconds.items()],
        "On a machine that may be shared.",
    )
