"""Watching features over files of conversations: streamed, resumable, whatever the features are.

The method is in `monitor.py` and `calibration.py`; here it is run over files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mindscope.core import Progress
from mindscope.data import Conversation, ConversationSource, Data, FileRecord
from mindscope.engines import Engine, ParallelEngine
from mindscope.errors import DataError, ModelError
from mindscope.features import Feature, FeatureSet
from mindscope.models import (
    Model,
    Row,
    Sampling,
    TemplateRecord,
    describe_prompts,
    require_room,
    token_texts,
    turn_rows,
)
from mindscope.monitoring.calibration import Calibration
from mindscope.monitoring.config import MonitorConfig, Signal, ThresholdScope
from mindscope.monitoring.monitor import Monitor, MonitoredConversation
from mindscope.monitoring.projections import project_turns
from mindscope.monitoring.results import AlarmTokens, ConversationRecord, MonitoringResult
from mindscope.monitoring.signal import signal_score
from mindscope.monitoring.tally import AlarmTally
from mindscope.store import Document, Run, claim, derived_seed, digest, replacing


def calibrate_on(
    model: Engine,
    features: Sequence[Feature],
    data: Data,
    run: Run,
    rate: float = 0.01,
    *,
    signal: Signal | None = None,
    over: ThresholdScope = "each",
    config: MonitorConfig | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Thresholds from a file of ordinary conversations, read piece by piece; see `calibrate`.

    Scores are kept in the run, so another rate costs no reading. Raises DataError for too few
    conversations, with the number that is needed, and for malformed rows, with file and line.
    """
    signal, known = signal or Signal(), FeatureSet(features)
    config = (config or MonitorConfig()).model_copy(update={"answer": False})  # these are recorded
    model = model.with_template(clock=run.started)
    job = _MonitorJob(model, known, ConversationSource.of(data), run, config)
    name = job.claim("calibrate", {"signal": signal.to_json()})
    scores: list[torch.Tensor] = []
    for index, window in job.windows("calibrating", progress):
        piece = f"{name}/{index:04d}.safetensors"
        if not run.has(piece):
            traces = project_turns(model, known, [rows for _, _, rows in job.readable(window)[0]])
            peaks = [peak for trace in traces if (peak := signal_score(signal, trace)) is not None]
            stacked = torch.stack(peaks) if peaks else torch.zeros(0, len(known), dtype=torch.float64)
            run.save_tensors(piece, {"scores": stacked})
        scores.append(run.load_tensors(piece)["scores"])
    return Calibration(
        known.keys,
        known.digest(),
        known.fingerprint,
        signal,
        rate,
        over,
        torch.cat([*scores]),
        model.identity if known.fingerprint == model.fingerprint else None,
        TemplateRecord.of(model),
    )


def monitor_file(
    model: Engine,
    monitor: Monitor,
    data: Data,
    run: Run,
    config: MonitorConfig | None = None,
    *,
    progress: Progress | None = None,
) -> MonitoringResult:
    """Runs a monitor over a file of conversations, recorded or answered by the model under watch.

    In the run's `watch/DATA-.../` are `conversations.jsonl`, a line a conversation with series, drift and
    events, and `monitoring.json`, the result. Memory does not grow with the file. Killed and called again, it
    goes on and ends with the same result.

    Raises:
        DataError: a malformed row (file and line), unless they are skipped; no conversation at all; a policy
            that acts on recorded answers.
        StoreError: the run holds this part made from something else.
    """
    config = config or MonitorConfig()
    model = model.with_template(clock=run.started)
    if monitor.calibration is not None:
        monitor.calibration.require_template(model)
    job = _MonitorJob(model, monitor.features, ConversationSource.of(data), run, config)
    calibration = monitor.calibration.summary() if monitor.calibration is not None else None
    policy = monitor.policy.action
    thresholds = None if calibration is None else calibration.to_json()
    setup = {"calibration": thresholds, "policy": [policy, monitor.policy.coefficient]}
    name = job.claim("watch", setup)
    n_windows = _watch_windows(job, monitor, name, progress)
    tally, left_out = AlarmTally(monitor), 0
    first: str | None = None
    with replacing(run.path / name / "conversations.jsonl") as temporary, temporary.open("w") as lines:
        for index in range(n_windows):
            window_result = WindowResult.model_validate(run.load_json(_piece_name(name, index)))
            for conversation in window_result.conversations:
                lines.write(json.dumps(conversation.to_json(), ensure_ascii=False) + "\n")
                tally.take(conversation)
            left_out += len(window_result.left_out)
            first = first or next(iter(window_result.left_out), None)
    if not tally.conversations:
        raise DataError(
            f"{job.source.label} holds no conversation to watch" + (f": {first}" if first else "")
        )
    result = MonitoringResult(
        data=job.source.name,
        model=model.name,
        conversations=tally.conversations,
        alarmed=tally.counts["alarmed"],
        left_out=left_out,
        left_out_first=first,
        halted=tally.counts["halted"],
        steered=tally.counts["steered"],
        features=tally.features(),
        policy=policy,
        calibration=calibration,
        folder=name,
        borrowed=model.borrowed,
    )
    result.save(run.path / name / "monitoring.json")
    return result


def _watch_windows(job: "_MonitorJob", monitor: Monitor, name: str, progress: Progress | None) -> int:
    """Watch what the run does not hold yet, window by window, and say how many windows there are.

    Answers of several windows are written at a time where the engine can do that. Of recorded conversations
    the passes of one window are shared out.
    """
    n_windows, waiting = 0, dict[int, _OpenWindow]()

    def unwatched() -> Iterator[_OpenWindow]:
        nonlocal n_windows
        for index, window in job.windows(f"watching {job.source.name}", progress):
            n_windows = index + 1
            if not job.run.has(_piece_name(name, index)):
                yield _OpenWindow(index, *job.readable(window))

    def save(window: _OpenWindow, seen: Sequence[MonitoredConversation]) -> None:
        records = [
            job.record(monitor, record, talk, watched)
            for (record, talk, _), watched in zip(window.good, seen, strict=True)
        ]
        result = WindowResult(conversations=tuple(records), left_out=tuple(window.bad))
        job.run.save_json(_piece_name(name, window.index), result.to_json())

    if not (job.config.answer and isinstance(job.model, ParallelEngine) and monitor.on_event is None):
        for window in unwatched():
            save(window, job.seen(monitor, window.good))
        return n_windows

    def work() -> Iterator[tuple[Any, ...]]:
        for number, window in enumerate(unwatched()):
            waiting[number] = window
            yield job.answering(window.good)

    for number, seen in job.model.call_many(_answer_watched, monitor, work()):
        for row, watched in enumerate(seen):
            monitor.tell(row, watched.events)  # what it said there is not heard here
        save(waiting.pop(number), seen)
    return n_windows


def _answer_watched(
    model: Model,
    monitor: Monitor,
    prompts: Sequence[Row],
    sampling: Sampling,
    seeds: Sequence[int],
    batch_rows: int,
) -> list[MonitoredConversation]:
    """Answers of a window: what a copy of the model does."""
    return monitor.generate(model, prompts, sampling, seeds=seeds, batch_rows=batch_rows)


def _piece_name(name: str, index: int) -> str:
    return f"{name}/{index:04d}.json"


class WindowResult(Document):
    """The conversations of one piece of the file, and the rows that could not be read."""

    conversations: tuple[ConversationRecord, ...]
    left_out: tuple[str, ...]


Readable = tuple[FileRecord, Conversation, list[Row]]


@dataclass(frozen=True)
class _OpenWindow:
    """Conversations of one piece of the file, and what is wrong with each row that holds none."""

    index: int
    good: list[Readable]
    bad: list[str]


@dataclass(frozen=True)
class _MonitorJob:
    model: Engine
    features: FeatureSet
    source: ConversationSource
    run: Run
    config: MonitorConfig

    def claim(self, part: str, setup: dict[str, Any]) -> str:
        """The folder of this very piece of work in the run."""
        self.features.match(self.model)
        whole = {
            "fingerprint": self.model.fingerprint,
            "template": describe_prompts(self.model),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "source": self.source.digest,
            "features": self.features.digest(),
            "config": self.config.model_dump(mode="json", exclude={"batch_rows"}),
            **setup,
        }
        name = f"{part}/{self.source.name}-{digest(whole)}"
        claim(self.run, name, whole)
        return name

    def windows(self, label: str, progress: Progress | None) -> Iterator[tuple[int, list[FileRecord]]]:
        done = 0
        for index, window in enumerate(self.source.windows(self.config.shard_rows)):
            yield index, window
            done += len(window)
            if progress is not None:
                progress(done, max(done, self.source.size), label)

    def readable(self, window: Sequence[FileRecord]) -> tuple[list[Readable], list[str]]:
        """The conversations with their rows, and what is wrong with each row of the file that holds none."""
        good: list[Readable] = []
        bad: list[str] = []
        for record in window:
            try:
                talk = record.conversation()
                rows = (
                    [self.model.chat(talk.prompt)]
                    if self.config.answer
                    else turn_rows(self.model, talk.messages)
                )
                require_room(self.model, rows, n_new=int(self.config.answer))
            except (DataError, ModelError) as error:
                located = self.source.located(record, error)
                if self.config.on_error == "refuse":
                    raise located from error
                bad.append(str(located))
            else:
                good.append((record, talk, rows))
        return good, bad

    def seen(self, monitor: Monitor, good: Sequence[Readable]) -> list[MonitoredConversation]:
        if not self.config.answer:
            return monitor.read(self.model, [rows for _, _, rows in good])
        prompts, sampling, seeds, batch_rows = self.answering(good)
        return monitor.generate(self.model, prompts, sampling, seeds=seeds, batch_rows=batch_rows)

    def answering(self, good: Sequence[Readable]) -> tuple[list[Row], Sampling, list[int], int]:
        """The prompts of conversations, and how they are answered."""
        seeds = [derived_seed(self.config.seed, "watch", record.number) for record, _, _ in good]
        return [rows[0] for _, _, rows in good], self.config.sampling(), seeds, self.config.batch_rows

    def record(
        self, monitor: Monitor, record: FileRecord, talk: Conversation, watched: MonitoredConversation
    ) -> ConversationRecord:
        """What is kept of a conversation; tokens and their values only of turns where an alarm began."""
        # A turn's question stands right before its answer, which may not be in the file.
        answers = [i for i, message in enumerate(talk.messages) if i and message["role"] == "assistant"]
        heat: list[AlarmTokens] = []
        for feature, event in watched.alarms.items():
            turn = watched.trace.turns[event.turn]
            answer = len(talk.prompt) if self.config.answer else [*answers, len(talk.messages)][event.turn]
            heat.append(
                AlarmTokens(
                    feature=feature,
                    turn=event.turn,
                    question=talk.messages[answer - 1]["content"],
                    tokens=tuple(token_texts(self.model.tokenizer, turn.row.final)),
                    values=tuple(turn.tokens[:, watched.trace.column(feature)].tolist()),
                )
            )
        calibration = monitor.calibration
        score = None if calibration is None else signal_score(calibration.signal, watched.trace)
        return ConversationRecord(
            number=record.number,
            place=record.place,
            peaks={} if score is None else dict(zip(self.features.keys, score.tolist(), strict=True)),
            turns=len(watched.trace.turns),
            features=watched.trace.summary(),
            events=watched.events,
            alarms=tuple(watched.alarms),
            answer=watched.answer,
            heat=tuple(heat),
        )
