"""Watching files of conversations: what `persona monitor` and `feature alarm` have in common."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import output
from mindscope.cli.session import open_run
from mindscope.errors import DataError
from mindscope.jobs import ORGANISM
from mindscope.jobs.resolve import TEST_BED

if TYPE_CHECKING:
    from mindscope.features import FeatureSet
    from mindscope.models import Model
    from mindscope.monitoring import Calibration, MonitorConfig, Policy


class AlarmAction(StrEnum):
    """What an alarm does."""

    log = "log"
    warn = "warn"
    stop = "stop"
    steer = "steer"


class ReadingPosition(StrEnum):
    """Where the deciding reading is taken."""

    answer = "answer"
    last_prompt = "last_prompt"


DataFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A .jsonl, .csv or .parquet file, or a saved dataset.")
]
Calibrate = Annotated[
    Path | None, typer.Option(help="Ordinary conversations that set the thresholds.", show_default=False)
]
FalseAlarms = Annotated[
    float | None, typer.Option(help="Share of ordinary conversations that may raise an alarm; 0.01.")
]
Jointly = Annotated[
    bool, typer.Option("--jointly", help="That share holds for all features together, not for each.")
]
Thresholds = Annotated[
    Path | None, typer.Option(help="Thresholds made before, by --calibrate.", show_default=False)
]
Place = Annotated[ReadingPosition, typer.Option(help="What is held against them.")]
Window = Annotated[int | None, typer.Option(min=1, help="Tokens of the trailing mean; 16.")]
PolicyName = Annotated[AlarmAction, typer.Option(help="What an alarm does; stop and steer need --answer.")]
Coefficient = Annotated[
    float, typer.Option("--coefficient", "-c", help="How hard `steer` pushes against: h - c * v.")
]
Answer = Annotated[bool, typer.Option("--answer", help="Let the model answer each last prompt under watch.")]
MaxNewTokens = Annotated[int | None, typer.Option(min=1, help="The longest answer; 1000.")]
Temperature = Annotated[float | None, typer.Option(min=0.0, help="Of the answers; 1.")]
OnError = Annotated[str | None, typer.Option(help="Malformed rows: refuse or skip; refuse.")]
ShardRows = Annotated[int | None, typer.Option(min=2, help="Conversations in one piece, even; 256.")]


@dataclass(frozen=True)
class AlarmOptions:
    """When an alarm is raised, and what it does; checked before a model is loaded."""

    calibrate: Path | None
    false_alarms: float | None
    jointly: bool
    thresholds: Path | None
    at: ReadingPosition
    window: int | None
    policy: Policy

    @classmethod
    def given(cls, policy: AlarmAction, coefficient: float, answer: bool, **options: Any) -> AlarmOptions:
        from mindscope.monitoring import Policy

        found = cls(policy=Policy(policy.value, coefficient), **options)
        if found.calibrate is not None and found.thresholds is not None:
            raise DataError("give --calibrate or --thresholds: one of them sets the thresholds")
        if found.policy.acts and not answer:
            raise DataError(f"--policy {policy.value} acts on answers while they are written: add --answer")
        return found


def watch_file(
    model: Model,
    known: FeatureSet,
    data: Path,
    run: Path,
    alarms: AlarmOptions,
    config: MonitorConfig,
    *,
    json: bool,
) -> None:
    """Calibrate, watch, and show what came of it."""
    from mindscope import monitoring
    from mindscope.monitoring import Monitor, MonitorWarning, Signal

    signal = Signal(alarms.at.value) if alarms.window is None else Signal(alarms.at.value, alarms.window)
    settings = {"dtype": str(model.dtype).removeprefix("torch.")}
    opened = open_run(run, kind="monitor", config=settings, fingerprint=model.fingerprint)
    with opened, output.progress() as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", MonitorWarning)  # told below, with file and line
        made = None
        if alarms.calibrate is not None:
            rate, over = alarms.false_alarms or 0.01, "any" if alarms.jointly else "each"
            made = monitoring.calibrate_on(
                model, known, alarms.calibrate, opened, rate, signal=signal, over=over, config=config,
                progress=report,
            )  # fmt: skip
            made.save(run / "thresholds.safetensors")
        elif alarms.thresholds is not None:
            made = _loaded(alarms.thresholds, known, alarms.false_alarms, alarms.jointly)
        monitor = Monitor(known, made, alarms.policy)
        result = monitoring.monitor_file(model, monitor, data, opened, config, progress=report)
        note = TEST_BED if model.name == ORGANISM else ""
        page = monitoring.monitor_report(result, run, note).write(run / result.folder / "report.html")
        opened.finish(**result.to_json())
    lines = run / result.folder / "conversations.jsonl"
    if json:
        output.print_json(result.to_json() | {"run": str(run), "table": str(lines), "report": str(page)})
        return
    if alarms.policy.action == "warn":
        for document in monitoring.conversations_of(run, result):
            for event in document["events"]:
                if event["kind"] == "crossed":
                    place = f"{data}, {document['place']}, turn {event['turn']}"
                    output.say(f"{place}: {event['feature']} is at {event['value']:.4g}")
    columns = [name.replace("_", " ") for name in monitoring.FeatureAlarms.model_fields]
    rows = [list(each.model_dump().values()) for each in result.features]
    output.print_table(columns, rows, f"{result.conversations} conversations, {result.alarmed} in alarm")
    if result.left_out:
        output.say(f"left out {result.left_out} rows; the first: {result.left_out_first}")
    if alarms.calibrate is not None:
        typer.echo(f"thresholds: {run / 'thresholds.safetensors'}")
    typer.echo(f"conversations: {lines}\nreport: {page}")


def _loaded(path: Path, known: FeatureSet, rate: float | None, jointly: bool) -> Calibration:
    """Thresholds out of a file, for another rate if one is given."""
    from mindscope.monitoring import Calibration

    made = Calibration.load(path, known)
    return made if rate is None and not jointly else made.at(rate or made.rate, "any" if jointly else "each")
