"""Monitoring: watch features over a file of conversations, with alarms that hold a false-alarm rate."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from mindscope.core import Index
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.persona.persona_run import default_layer, find_choice
from mindscope.jobs.resolve import find_vectors, test_bed_note
from mindscope.jobs.specs import BorrowingModelSpec, DataSpec, EngineSpec, blocks_of
from mindscope.monitoring import AlarmAction, AlarmEvent, MonitorConfig, MonitoringResult, ReadingPosition
from mindscope.monitoring.config import WINDOW
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.data import ConversationSource
    from mindscope.engines import Engine
    from mindscope.features import FeatureSet
    from mindscope.monitoring import Calibration
    from mindscope.store import Run

THRESHOLDS = "thresholds.safetensors"
PLACES = 10
"""Alarms that a summary names; the page and the table have all."""
DEFAULT_RATE = 0.01
"""The share of false alarms, where nothing else is said."""


class WatchedData(NamedTuple):
    """Conversations that were looked through."""

    data: ConversationSource
    ordinary: ConversationSource | None
    """Those that set the thresholds."""


class AlarmSpec(DataSpec, MonitorConfig):
    """Conversations to watch, when an alarm is raised, and what it does; for features of any kind."""

    options: ClassVar = {"position": ("--at",), "coefficient": ("--coefficient", "-c")}
    hidden: ClassVar[tuple[str, ...]] = ("samples",)
    inputs: ClassVar[Mapping[str, InputKind]] = {"thresholds": "tensors"}

    data: Path
    """A file or folder of conversations, or a data set's name on the hub (docs/data.md has the forms)."""
    calibrate: Path | None = None
    """Ordinary conversations that set the thresholds."""
    thresholds: Path | None = None
    """A file of thresholds that --calibrate made before."""
    false_alarms: float | None = Field(default=None, gt=0, lt=1)
    """The share of ordinary conversations that may raise an alarm; without one it is the rate of the
    --thresholds, or 0.01."""
    jointly: bool = False
    """Let the rate of false alarms hold for all features together, not for every feature."""
    position: ReadingPosition = "answer"
    """Hold the answer's tokens against the thresholds, or the prompt's last token."""
    window: int = Field(default=WINDOW, ge=1)
    """Tokens of the trailing mean that is held against a threshold."""
    policy: AlarmAction = "log"
    """What an alarm does; stop and steer need --answer."""
    coefficient: float = 1.0
    """How hard `steer` pushes against a feature: h - c * v."""

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.calibrate is not None and self.thresholds is not None:
            raise ValueError("give --calibrate or --thresholds: one of them sets the thresholds")
        if self.policy in ("stop", "steer") and not self.answer:
            raise ValueError(f"--policy {self.policy} acts on answers while they are written: add --answer")
        return self

    def open_conversations(self, reporter: Reporter) -> WatchedData:
        """Look through the conversations before a model is loaded.

        Raises:
            DataError: a file cannot be read, or holds a malformed row that is not to be skipped.
        """
        refuse = self.on_error == "refuse"
        ordinary = None
        if self.calibrate is not None:
            ordinary = self.open_data(self.calibrate, reporter, refuse=refuse, main=False)
        return WatchedData(self.open_data(self.data, reporter, refuse=refuse), ordinary)

    def run_path(self) -> Path:
        """`runs/monitor-FILE`."""
        return Path("runs") / f"monitor-{self.data_file(self.data).name}"


class MonitorVectorsSpec(EngineSpec, BorrowingModelSpec, AlarmSpec):
    """What `persona monitor` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "data")
    options: ClassVar = {**AlarmSpec.options, "layers": ("--layer",)}
    inputs: ClassVar[Mapping[str, InputKind]] = {**AlarmSpec.inputs, "vectors": "vectors"}

    vectors: tuple[Path, ...]
    """Persona vectors to watch: a file or a run. May be repeated."""
    layers: tuple[Index, ...] | None = None
    """Where the vectors are read, such as 12 or 8,12; by default the choice of the run's sweep, or 0.55 of
    the depth."""
    published_index: bool = False
    """Read layers as published files count, where 0 is the embeddings: 20 is the output of block 19."""

    def find_features(self, model: Engine) -> FeatureSet:
        """The vectors at the layers that are asked for; by default at the choice of each one's sweep."""
        from mindscope.features import FeatureSet

        directions, layers = [], blocks_of(self.layers, self.published_index)
        for path in self.vectors:
            for vectors in find_vectors(path, model):
                choice = find_choice(path, vectors)
                chosen = default_layer(model) if choice is None else choice.layer
                directions += [vectors.direction(layer) for layer in layers or (chosen,)]
        return FeatureSet(directions)


class AlarmPlace(Document):
    """Where an alarm began."""

    place: str
    """Of the conversation in its file."""
    event: AlarmEvent
    words: str
    """The words that led up to it; none before an answer."""


class MonitoringReport(MonitoringResult):
    """The alarms, and where the conversations, the page and the thresholds are."""

    places: tuple[AlarmPlace, ...]
    """Where the first alarms of the file began, at most `PLACES`."""
    n_places: int
    """How many began in all."""

    run: str
    table: str
    """A line of JSON per conversation."""
    report: str
    thresholds: str | None
    """The file of thresholds that this job calibrated."""
    notes: tuple[str, ...] = ()
    """What was not read of the conversations' rows, or was read otherwise than it stands there."""


def monitor_vectors(spec: MonitorVectorsSpec, *, run: RunFolder, reporter: Reporter) -> MonitoringReport:
    """Watch persona vectors over every answer of conversations: readings, drift, alarms and their end.

    The thresholds let ordinary conversations through but for the share of --false-alarms. With --answer the
    model writes the answers under watch, and an alarm may stop or steer them.
    """
    watched = spec.open_conversations(reporter)
    model = spec.load_engine()
    return watch_file(spec, watched, model, spec.find_features(model), run=run, reporter=reporter)


def watch_file(
    spec: AlarmSpec,
    watched: WatchedData,
    model: Engine,
    features: FeatureSet,
    *,
    run: RunFolder,
    reporter: Reporter,
) -> MonitoringReport:
    """Calibrate or load thresholds, watch the file, and write the page; `features` may be of any kind.

    Raises:
        DataError: a malformed row (file and line), unless they are skipped; too few ordinary conversations;
            thresholds of other features.
        StoreError: the run holds something else.
    """
    from mindscope import monitoring
    from mindscope.monitoring import Monitor, MonitorWarning, Policy

    policy = Policy(spec.policy, spec.coefficient)
    config = {"dtype": str(model.dtype).removeprefix("torch.")}
    opened = run.open(kind="monitor", config=config, model=model, reporter=reporter)
    with opened, warnings.catch_warnings():
        warnings.simplefilter("ignore", MonitorWarning)  # they are said below, with file and line
        thresholds = _find_thresholds(spec, watched.ordinary, model, features, opened, reporter)
        monitor = Monitor(features, thresholds, policy)
        result = monitoring.monitor_file(
            model, monitor, watched.data, opened, spec.config(MonitorConfig), progress=reporter.progress
        )
        if watched.ordinary is not None and thresholds is not None and not spec.answer:
            controls = monitoring.compare_random(
                model, monitor.features, thresholds.signal, watched.ordinary, watched.data, spec.seed
            )
            compared = tuple(
                item.model_copy(update={"control": controls.get(item.feature)}) for item in result.features
            )
            result = result.model_copy(update={"features": compared})
            result.save(run.path / result.folder / "monitoring.json")
        folder = run.path / result.folder
        page = monitoring.monitor_report(result, run.path, test_bed_note(model)).write(folder / "report.html")
        opened.finish(**result.to_json())
    if spec.policy == "warn":
        _say_alarms(spec, run.path, result, reporter)
    places = [
        AlarmPlace(place=record.place, event=event, words=record.words_at(event))
        for record in monitoring.conversations_of(run.path, result)
        for event in record.events
        if event.kind == "crossed"
    ]
    return MonitoringReport(
        **dict(result),
        places=tuple(places[:PLACES]),
        n_places=len(places),
        run=str(run.path),
        table=str(folder / "conversations.jsonl"),
        report=str(page),
        thresholds=None if spec.calibrate is None else str(run.path / THRESHOLDS),
        notes=watched.data.notes(),
    )


def _find_thresholds(
    spec: AlarmSpec,
    ordinary: ConversationSource | None,
    model: Engine,
    features: FeatureSet,
    run: Run,
    reporter: Reporter,
) -> Calibration | None:
    """Calibrated on ordinary conversations, or out of a file, for another rate if one is given."""
    from mindscope.monitoring import Calibration, Signal, calibrate_on

    over = "any" if spec.jointly else "each"
    if ordinary is not None:
        calibration = calibrate_on(
            model,
            features,
            ordinary,
            run,
            spec.false_alarms or DEFAULT_RATE,
            signal=Signal(spec.position, spec.window),
            over=over,
            config=spec.config(MonitorConfig),
            progress=reporter.progress,
        )
        calibration.save(run.path / THRESHOLDS)
        return calibration
    if spec.thresholds is None:
        return None
    calibration = Calibration.load(spec.thresholds).for_model(model)
    calibration.require(features)
    if spec.false_alarms is None and not spec.jointly:
        return calibration
    return calibration.at(spec.false_alarms or calibration.rate, over)


def _say_alarms(spec: AlarmSpec, run: Path, result: MonitoringResult, reporter: Reporter) -> None:
    from mindscope.monitoring import conversations_of

    for conversation in conversations_of(run, result):
        for event in conversation.events:
            if event.kind == "crossed":
                place = f"{spec.data}, {conversation.place}, turn {event.turn}"
                reporter.say(f"{place}: {event.feature} is at {event.value:.4g}")
