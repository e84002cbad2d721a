"""A monitoring as a page: alarms by feature, the conversations that drew the strongest, their tokens."""

import heapq
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mindscope.monitoring.results import ConversationRecord, FeatureAlarms, MonitoringResult, conversations_of
from mindscope.reports import CurveLine, Report, TokenHeat, lines_with_bands

SHOWN = 12
LINES = 4
EVENTS = 100
EXPLAINED = (
    "Share: of conversations in alarm, with its 95 % interval. Within two answers: alarms that came so soon. "
    "Recovered: alarms that ended, below a lower level than the threshold. Rising, falling: conversations of "
    "three answers or more whose reading surely moves over the turns. Among random: the share of random "
    "directions of the same layer that tell these conversations from ordinary ones less well."
)


def monitor_report(result: MonitoringResult, run: Path, note: str = "") -> Report:
    """The page of a result whose conversations are in ``run``; reads them row by row."""
    report = Report(f"Monitor: {result.data}", f"{result.conversations} conversations, {result.model}")
    if note:
        report.note(note)
    report.section("Alarms", _intro(result))
    columns = [
        "feature",
        "threshold",
        "alarms",
        "share",
        "within two answers",
        "recovered",
        "rising",
        "falling",
        "among random",
    ]
    report.table(columns, [_row(feature) for feature in result.features], EXPLAINED, "lrrrrrrrr")
    for feature in result.features:
        if feature.control is not None:
            report.text(f"{feature.feature}: {feature.control}.")
    if result.left_out:
        report.note(f"{result.left_out} rows were left out; the first: {result.left_out_first}")
    strongest = _strongest(result, run)
    _add_turns(report, result, strongest)
    if strongest:
        _add_answers(report, strongest)
    report.section("Where this comes from")
    facts = {} if result.calibration is None else result.calibration.to_json()
    facts.pop("features", None)
    return report.facts({"policy": result.policy, **facts})


def _intro(result: MonitoringResult) -> str:
    calibration = result.calibration
    if calibration is None:
        return "No thresholds were given, so there are no alarms: readings and drift alone."
    low, high = calibration.interval
    return (
        f"Thresholds were calibrated on {calibration.conversations} ordinary conversations to a false-alarm "
        f"rate of {calibration.rate_a_feature:.2%} per conversation and feature; the true rate lies between "
        f"{low:.2%} and {high:.2%} (95 %). Policy: {result.policy}."
    )


def _add_turns(report: Report, result: MonitoringResult, strongest: Sequence[ConversationRecord]) -> None:
    """A chart per feature, of the conversations of several turns in which it raised an alarm."""
    charts = [
        (feature, conversations)
        for feature in result.features
        if (
            conversations := [
                record for record in strongest if record.turns > 1 and feature.feature in record.alarms
            ][:LINES]
        )
    ]
    if charts:
        report.section("Over the turns", "The mean over each answer, of the conversations with most of it.")
    for feature, conversations in charts:
        report.figure(_chart(feature, conversations), f"{feature.feature}, by the line of the file.")


def _add_answers(report: Report, strongest: Sequence[ConversationRecord]) -> None:
    report.section("Answers that raised alarms", "Each token is shaded by its own reading.")
    heats = [
        TokenHeat(
            heat.question,
            list(zip(heat.tokens, heat.values, strict=True)),
            f"{record.place}, turn {heat.turn}",
            heat.feature,
        )
        for record in strongest
        for heat in record.heat
        if heat.tokens
    ]
    report.heats(heats)
    report.section("Events", f"Of these conversations; at most {EVENTS}.")
    rows = [
        [record.place, event.kind, event.feature, event.turn, event.token, event.value, event.level]
        for record in strongest
        for event in record.events
    ]
    columns = ["conversation", "event", "feature", "turn", "token", "signal", "level"]
    report.table(columns, rows[:EVENTS])


def _strongest(result: MonitoringResult, run: Path) -> list[ConversationRecord]:
    """The conversations with the highest signals, in units of the distance from recovery to threshold."""
    levels = {
        feature.feature: (feature.threshold, max(feature.threshold - feature.recovery, 1e-9))
        for feature in result.features
        if feature.threshold is not None and feature.recovery is not None
    }

    def strength(record: ConversationRecord) -> float:
        return max((record.peaks[key] - levels[key][0]) / levels[key][1] for key in record.alarms)

    alarmed = (record for record in conversations_of(run, result) if record.alarms)
    return heapq.nlargest(SHOWN, alarmed, key=strength)


def _chart(feature: FeatureAlarms, conversations: Sequence[ConversationRecord]) -> Figure:
    turns = range(max(record.turns for record in conversations))
    lines = [
        CurveLine(record.place, _padded(record.features[feature.feature].answer, len(turns)))
        for record in conversations
    ]
    level = CurveLine("threshold", [feature.threshold] * len(turns), baseline=True)
    return lines_with_bands([*lines, level], list(turns), "turn", "projection")


def _padded(series: Sequence[float | None], length: int) -> list[float | None]:
    return [*series, *[None] * (length - len(series))]


def _row(feature: FeatureAlarms) -> list[object]:
    share = f"{feature.share:.2%} ({feature.low:.2%} to {feature.high:.2%})"
    return [
        feature.feature,
        feature.threshold,
        feature.alarms,
        share,
        feature.soon,
        feature.recovered,
        feature.rising,
        feature.falling,
        feature.control and f"{feature.control.percentile:.3g} %",
    ]
