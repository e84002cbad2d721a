"""A monitoring as a page: alarms by feature, the conversations that drew the strongest, their tokens."""

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mindscope.monitoring.results import FeatureAlarms, MonitoringResult, conversations_of
from mindscope.reports import CurveLine, Report, TokenHeat, lines_with_bands

SHOWN = 12
LINES = 4
EVENTS = 100


def monitor_report(result: MonitoringResult, run: Path, note: str = "") -> Report:
    """The page of a result whose conversations are in ``run``; reads them one by one."""
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
    ]
    report.table(columns, [_row(each) for each in result.features], align="lrrrrrrr")
    if result.left_out:
        report.note(f"{result.left_out} rows were left out; the first: {result.left_out_first}")
    strongest = _strongest(result, run)
    charts = [
        (each, talks)
        for each in result.features
        if (talks := [one for one in strongest if one["turns"] > 1 and each.feature in one["alarms"]][:LINES])
    ]
    if charts:
        report.section("Over the turns", "The mean over each answer, of the conversations with most of it.")
    for each, talks in charts:
        report.figure(_chart(each, talks), f"{each.feature}, by the line of the file.")
    if strongest:
        report.section("Answers that raised alarms", "Each token is shaded by its own reading.")
        heats = [
            TokenHeat(
                heat["question"],
                list(zip(heat["tokens"], heat["values"], strict=True)),
                f"{document['place']}, turn {heat['turn']}",
                heat["feature"],
            )
            for document in strongest
            for heat in document["heat"]
            if heat["tokens"]
        ]
        report.heats(heats)
        report.section("Events", f"Of these conversations; at most {EVENTS}.")
        rows = [
            [
                document["place"],
                *(event[name] for name in ("kind", "feature", "turn", "token", "value", "level")),
            ]
            for document in strongest
            for event in document["events"]
        ]
        columns = ["conversation", "event", "feature", "turn", "token", "signal", "level"]
        report.table(columns, rows[:EVENTS])
    report.section("Where this comes from")
    facts = {key: value for key, value in (result.calibration or {}).items() if key != "features"}
    return report.facts({"policy": result.policy, **facts})


def _intro(result: MonitoringResult) -> str:
    made = result.calibration
    if made is None:
        return "No thresholds were given, so there are no alarms: readings and drift alone."
    low, high = made["interval"]
    return (
        f"Thresholds were calibrated on {made['conversations']} ordinary conversations to a false-alarm "
        f"rate of {made['rate_a_feature']:.2%} a conversation and feature; the true rate lies between "
        f"{low:.2%} and {high:.2%} (95 %). Policy: {result.policy}."
    )


def _strongest(result: MonitoringResult, run: Path) -> list[dict[str, Any]]:
    """The conversations with the highest signals, in units of the distance from recovery to threshold."""
    levels = {
        each.feature: (each.threshold, max(each.threshold - each.recovery, 1e-9))
        for each in result.features
        if each.threshold is not None and each.recovery is not None
    }

    def strength(document: dict[str, Any]) -> float:
        return max((document["peaks"][key] - levels[key][0]) / levels[key][1] for key in document["alarms"])

    alarmed = (document for document in conversations_of(run, result) if document["alarms"])
    return heapq.nlargest(SHOWN, alarmed, key=strength)


def _chart(feature: FeatureAlarms, talks: Sequence[dict[str, Any]]) -> Figure:
    turns = range(max(document["turns"] for document in talks))
    lines = [
        CurveLine(document["place"], _padded(document["features"][feature.feature]["answer"], len(turns)))
        for document in talks
    ]
    level = CurveLine("threshold", [feature.threshold] * len(turns), baseline=True)
    return lines_with_bands([*lines, level], list(turns), "turn", "projection")


def _padded(series: list[float | None], length: int) -> list[float | None]:
    return [*series, *[None] * (length - len(series))]


def _row(one: FeatureAlarms) -> list[object]:
    share = f"{one.share:.2%} ({one.low:.2%} to {one.high:.2%})"
    return [one.feature, one.threshold, one.alarms, share, one.soon, one.recovered, one.rising, one.falling]
