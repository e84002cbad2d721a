"""One data set whose readings are finished: its scores, window by window, against a baseline."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from mindscope.core import Progress
from mindscope.data import ConversationSource, Data
from mindscope.engines import Engine
from mindscope.errors import DataError
from mindscope.screening.base_answers import BaselineSampler, Origin
from mindscope.screening.config import ScreenConfig
from mindscope.screening.scores import WindowScores, window_scores
from mindscope.screening.traits import ScreenedTraits
from mindscope.screening.windows import ReadingWindows
from mindscope.stats import Estimate, bootstrap_interval
from mindscope.store import Run, derived_seed


@dataclass(frozen=True)
class AnswerSubsample:
    """What the model's own answers to a random subsample of the prompts tell about all of them."""

    baseline: Float32[np.ndarray, "traits"]
    """Mean projection of the own answers."""
    baselines: list[Estimate | None]
    means: list[Estimate | None]
    """dP of the data set: over the subsample, each answer against the model's own to the same prompt."""


@dataclass(frozen=True)
class DataSet:
    """Finished readings, and what to compare them with."""

    windows: ReadingWindows
    config: ScreenConfig
    subsample: AnswerSubsample | None

    @classmethod
    def read(
        cls,
        model: Engine,
        data: Data,
        traits: ScreenedTraits,
        run: Run,
        config: ScreenConfig,
        progress: Progress | None,
        most: int | None = None,
    ) -> "DataSet":
        """Read whatever the run does not hold yet, of the first `most` windows where that is given."""
        windows = ReadingWindows(
            model,
            ConversationSource.of(data),
            traits,
            BaselineSampler(model, traits, run, config),
            run,
            config,
        )
        windows.read(own=config.form == "exact", report=progress, most=most)
        if not any(len(readings.numbers) for readings in windows.readings()):
            reasons = [reason for readings in windows.readings() for reason in readings.left_out]
            why = f"; the first row: {reasons[0]}" if reasons else ""
            raise DataError(f"{windows.source.label} has no conversation to score{why}")
        return cls(
            windows, config, _subsample(windows, config, progress) if config.form == "sample" else None
        )

    def scores(self) -> Iterator[WindowScores]:
        """Every window's scores, in order."""
        for index, readings in enumerate(self.windows.readings()):
            if self.subsample is not None:
                baseline = np.broadcast_to(self.subsample.baseline, readings.answer.shape)
            elif self.config.form == "exact":
                baseline = self.windows.own(index).means.numpy()
            else:
                baseline = readings.last.numpy()
            yield window_scores(readings, baseline, self.config.turns)

    def origins(self, index: int) -> list[Origin] | None:
        """Where the model's own answers to a window are kept, if it gave any."""
        return self.windows.own(index).origins if self.config.form == "exact" else None


def _subsample(windows: ReadingWindows, config: ScreenConfig, progress: Progress | None) -> AnswerSubsample:
    """Draw conversations, have the model answer their prompts, and compare."""
    sizes = [len(readings.numbers) for readings in windows.readings()]
    random = np.random.default_rng(derived_seed(config.seed, "subsample"))
    total = sum(sizes)
    chosen = np.sort(random.choice(total, min(config.subsample, total), replace=False))
    numbers: list[int] = []
    answers: list[torch.Tensor] = []
    counts: list[int] = []
    for readings, begin in zip(windows.readings(), np.cumsum(sizes) - sizes, strict=True):
        inside = chosen[(chosen >= begin) & (chosen < begin + len(readings.numbers))] - begin
        turns = readings.answer.split(readings.counts.tolist())
        numbers += readings.numbers[inside].tolist()
        answers += [turns[i] for i in inside]
        counts += readings.counts[inside].tolist()
    own = windows.own_of(numbers, progress).means.split(counts)
    differences = torch.stack(
        [(ours.double() - theirs).nanmean(0) for ours, theirs in zip(answers, own, strict=True)]
    )
    levels = torch.stack([turns.double().nanmean(0) for turns in own])
    baselines = _estimates(levels, config)
    if None in baselines:
        raise DataError("the model said nothing to any prompt of the subsample: use another form")
    return AnswerSubsample(levels.nanmean(0).float().numpy(), baselines, _estimates(differences, config))


def _estimates(values: torch.Tensor, config: ScreenConfig) -> list[Estimate | None]:
    """An estimate per column, over the rows that have a value there."""
    estimates: list[Estimate | None] = []
    for column in values.T:
        known = column[column.isfinite()]
        if not len(known):
            estimates.append(None)
            continue
        low, high = bootstrap_interval(known, resamples=config.resamples, seed=config.seed)
        estimates.append(Estimate(mean=known.mean().item(), low=low, high=high))
    return estimates
