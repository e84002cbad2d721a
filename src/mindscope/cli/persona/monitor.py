"""`mindscope persona monitor`: features over conversations, and alarms that hold a false-alarm rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli import monitor_options as watching
from mindscope.cli import options
from mindscope.cli.monitor_options import AlarmAction, AlarmOptions, ReadingPosition
from mindscope.cli.output import Json
from mindscope.cli.persona.options import configure, numbers
from mindscope.jobs import find_vectors, load_model
from mindscope.jobs.persona_run import default_layer, find_choice

if TYPE_CHECKING:
    from mindscope.features import FeatureSet
    from mindscope.models import Model


def monitor(
    data: watching.DataFile,
    model: Annotated[str, typer.Option("--model", "-m", help="A name or folder, or `organism`.")],
    vectors: Annotated[list[Path], typer.Option(help="Vectors: a file or run. May be repeated.")],
    layer: Annotated[
        str | None,
        typer.Option(help="Such as 12 or 8,12; a sweep's choice, or 0.55 of the depth.", show_default=False),
    ] = None,
    calibrate: watching.Calibrate = None,
    false_alarms: watching.FalseAlarms = None,
    jointly: watching.Jointly = False,
    thresholds: watching.Thresholds = None,
    at: watching.Place = ReadingPosition.answer,
    window: watching.Window = None,
    policy: watching.PolicyName = AlarmAction.log,
    coefficient: watching.Coefficient = 1.0,
    answer: watching.Answer = False,
    max_new_tokens: watching.MaxNewTokens = None,
    temperature: watching.Temperature = None,
    on_error: watching.OnError = None,
    shard_rows: watching.ShardRows = None,
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
    from mindscope import monitoring

    alarms = AlarmOptions.given(
        policy, coefficient, answer, calibrate=calibrate, false_alarms=false_alarms, jointly=jointly,
        thresholds=thresholds, at=at, window=window,
    )  # fmt: skip
    config = configure(
        monitoring.MonitorConfig,
        answer=answer,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        on_error=on_error,
        shard_rows=shard_rows,
        seed=seed,
    )
    loaded = load_model(model, dtype, device)
    known = _features(vectors, layer, loaded)
    folder = run or Path("runs") / f"monitor-{data.stem}"
    watching.watch_file(loaded, known, data, folder, alarms, config, json=json)


def _features(paths: list[Path], layer: str | None, model: Model) -> FeatureSet:
    """The vectors at the layers that are asked for; by default the sweep's choice of each."""
    from mindscope.features import FeatureSet

    asked = None if layer is None else [int(each) for each in numbers(layer, int)]
    found = []
    for path in paths:
        for each in find_vectors(path, model):
            choice = find_choice(path, each)
            layers = asked or [default_layer(model) if choice is None else choice.layer]
            found += [each.direction(place) for place in layers]
    return FeatureSet(found)
