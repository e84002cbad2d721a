"""A monitoring as a page: alarms by feature, the conversations that drew the strongest, their tokens."""

import heapq
from pathlib import Path
from typing import Any

from mindscope.personas.monitoring import COLUMNS, Monitoring, conversations_of
from mindscope.reports import Heat, Line, Report, lines_with_bands

SHOWN = 12
EVENTS = 100


def monitor_report(result: Monitoring, run: Path, note: str = "") -> Report:
    """The page of a result whose conversations are in ``run``; reads them one by one."""
    report = Report(f"Monitor: {result.data}", f"{result.conversations} conversations, {result.model}")
    if note:
        report.note(note)
    report.section("Alarms", _intro(result))
    columns = [name.replace("_", " ") for name in COLUMNS]
    report.table(columns, [list(each.model_dump().values()) for each in result.features])
    if result.left_out:
        report.note(f"{result.left_out} rows were left out; the first: {result.left_out_first}")
    strongest = _strongest(result, run)
    talks = [document for document in strongest if document["turns"] > 1]
    if talks:
        report.section(
            "Over the turns", "The mean over each answer, and the threshold; strongest alarms first."
        )
        for document in talks[:4]:
            report.figure(_chart(document, result), f"{result.data}, {document['place']}.")
    if strongest:
        report.section("Answers that raised alarms", "Each token is shaded by its own reading.")
        heats = [
            Heat(
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


def _intro(result: Monitoring) -> str:
    made = result.calibration
    if made is None:
        return "No thresholds were given, so there are no alarms: readings and drift alone."
    low, high = made["interval"]
    return (
        f"Thresholds were calibrated on {made['conversations']} ordinary conversations to a false-alarm "
        f"rate of {made['rate_a_feature']:.2%} a conversation and feature; the true rate lies between "
        f"{low:.2%} and {high:.2%} (95 %). Policy: {result.policy}."
    )


def _strongest(result: Monitoring, run: Path) -> list[dict[str, Any]]:
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


def _chart(document: dict[str, Any], result: Monitoring):
    lines: list[Line] = []
    turns = range(document["turns"])
    for each in result.features:
        if each.feature not in document["alarms"]:
            continue
        lines.append(Line(each.feature, document["features"][each.feature]["answer"]))
        lines.append(Line("threshold", [each.threshold] * len(turns), baseline=True))
    return lines_with_bands(lines, list(turns), "turn", "projection")
