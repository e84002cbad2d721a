"""`mindscope persona monitor`: features over conversations, and alarms that hold a false-alarm rate."""

from __future__ import annotations

import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import options, output
from mindscope.cli.inputs import ORGANISM, find_vectors, load_model
from mindscope.cli.output import Json
from mindscope.cli.persona_job import configure, numbers
from mindscope.cli.persona_results import TEST_BED, chosen, usual_layer
from mindscope.cli.session import open_run
from mindscope.errors import DataError

if TYPE_CHECKING:
    from mindscope.features import Calibration, FeatureSet
    from mindscope.models import Model


class Action(StrEnum):
    """What an alarm does."""

    log = "log"
    warn = "warn"
    stop = "stop"
    steer = "steer"


class At(StrEnum):
    """Where the deciding reading is taken."""

    answer = "answer"
    last_prompt = "last_prompt"


def monitor(
    data: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .jsonl, .csv or .parquet file, or a saved dataset.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="A name or folder, or `organism`.")],
    vectors: Annotated[list[Path], typer.Option(help="Vectors: a file or run. May be repeated.")],
    layer: Annotated[
        str | None,
        typer.Option(help="Such as 12 or 8,12; a sweep's choice, or 0.55 of the depth.", show_default=False),
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Ordinary conversations that set the thresholds.", show_default=False)
    ] = None,
    false_alarms: Annotated[
        float | None, typer.Option(help="Share of ordinary conversations that may raise an alarm; 0.01.")
    ] = None,
    jointly: Annotated[
        bool, typer.Option("--jointly", help="That share holds for all features together, not for each.")
    ] = False,
    thresholds: Annotated[
        Path | None, typer.Option(help="Thresholds made before, by --calibrate.", show_default=False)
    ] = None,
    at: Annotated[At, typer.Option(help="What is held against them.")] = At.answer,
    window: Annotated[int | None, typer.Option(min=1, help="Tokens of the trailing mean; 16.")] = None,
    policy: Annotated[
        Action, typer.Option(help="What an alarm does; stop and steer need --answer.")
    ] = Action.log,
    coefficient: Annotated[
        float, typer.Option("--coefficient", "-c", help="How hard `steer` pushes against: h - c * v.")
    ] = 1.0,
    answer: Annotated[
        bool, typer.Option("--answer", help="Let the model answer each last prompt under watch.")
    ] = False,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer; 1000.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="Of the answers; 1.")] = None,
    on_error: Annotated[str | None, typer.Option(help="Malformed rows: refuse or skip; refuse.")] = None,
    shard_rows: Annotated[
        int | None, typer.Option(min=2, help="Conversations in one piece, even; 256.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Where all is kept; runs/monitor-FILE.", show_default=False)
    ] = None,
    seed: options.Seed = 0,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Watch persona vectors over every answer of conversations: readings, drift, alarms and their end.

    The thresholds let ordinary conversations through but for the share of --false-alarms. With --answer the
    model writes the answers under watch, and an alarm may stop or steer them.
    """
    from mindscope import personas
    from mindscope.features import Monitor, MonitorWarning, Policy, Signal

    if calibrate is not None and thresholds is not None:
        raise DataError("give --calibrate or --thresholds: one of them sets the thresholds")
    acting = Policy(policy.value, coefficient)
    config = configure(
        personas.WatchConfig,
        answer=answer,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        on_error=on_error,
        shard_rows=shard_rows,
        seed=seed,
    )
    if acting.acts and not answer:
        raise DataError(f"--policy {policy.value} acts on answers while they are written: add --answer")
    loaded = load_model(model, dtype, device)
    known = _features(vectors, layer, loaded)
    signal = Signal(at.value) if window is None else Signal(at.value, window)
    folder = run or Path("runs") / f"monitor-{data.stem}"
    settings = {"dtype": str(loaded.dtype).removeprefix("torch.")}
    opened = open_run(folder, kind="monitor", config=settings, fingerprint=loaded.fingerprint)
    with opened, output.progress() as report, warnings.catch_warnings():
        warnings.simplefilter("ignore", MonitorWarning)  # told below, with file and line
        made = None
        if calibrate is not None:
            rate, over = false_alarms or 0.01, "any" if jointly else "each"
            made = personas.calibrate_on(
                loaded, known, calibrate, opened, rate, signal=signal, over=over, config=config,
                progress=report,
            )  # fmt: skip
            made.save(folder / "thresholds.safetensors")
        elif thresholds is not None:
            made = _loaded(thresholds, known, false_alarms, jointly)
        result = personas.watch(loaded, Monitor(known, made, acting), data, opened, config, progress=report)
        note = TEST_BED if loaded.name == ORGANISM else ""
        page = personas.monitor_report(result, folder, note).write(folder / result.folder / "report.html")
        opened.finish(**result.to_json())
    lines = folder / result.folder / "conversations.jsonl"
    if json:
        output.print_json(result.to_json() | {"run": str(folder), "table": str(lines), "report": str(page)})
        return
    if policy is Action.warn:
        for document in personas.conversations_of(folder, result):
            for event in document["events"]:
                if event["kind"] == "crossed":
                    place = f"{data}, {document['place']}, turn {event['turn']}"
                    output.say(f"{place}: {event['feature']} is at {event['value']:.4g}")
    columns = [name.replace("_", " ") for name in personas.FeatureAlarms.model_fields]
    rows = [list(each.model_dump().values()) for each in result.features]
    output.print_table(columns, rows, f"{result.conversations} conversations, {result.alarmed} in alarm")
    if result.left_out:
        output.say(f"left out {result.left_out} rows; the first: {result.left_out_first}")
    if made is not None and calibrate is not None:
        typer.echo(f"thresholds: {folder / 'thresholds.safetensors'}")
    typer.echo(f"conversations: {lines}\nreport: {page}")


def _features(paths: list[Path], layer: str | None, model: Model) -> FeatureSet:
    """The vectors at the layers that are asked for; by default the sweep's choice of each."""
    from mindscope.features import FeatureSet

    asked = None if layer is None else [int(each) for each in numbers(layer, int)]
    found = []
    for path in paths:
        for each in find_vectors(path, model):
            own = chosen(path, each)[0]
            layers = asked or [usual_layer(model) if own is None else own]
            found += [each.direction(place) for place in layers]
    return FeatureSet(found)


def _loaded(path: Path, known: FeatureSet, rate: float | None, jointly: bool) -> Calibration:
    """Thresholds out of a file, for another rate if one is given."""
    from mindscope.features import Calibration

    made = Calibration.load(path, known)
    return made if rate is None and not jointly else made.at(rate or made.rate, "any" if jointly else "each")
