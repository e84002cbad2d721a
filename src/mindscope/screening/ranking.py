"""The samples that score highest, and the text that drives each score."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mindscope.data import FileRecord
from mindscope.engines import Engine
from mindscope.models import pack_turns, token_texts
from mindscope.screening.base_answers import Origin
from mindscope.screening.results import RankedSample
from mindscope.screening.scores import ReferencePercentiles, WindowScores
from mindscope.screening.traits import ScreenedTraits
from mindscope.screening.windows import ReadingWindows, answer_rows, answers_in


@dataclass(frozen=True, order=True)
class RankedCandidate:
    """A sample that may be among the highest; of equal scores the earlier row ranks higher."""

    dp: float
    order: int
    line: int = field(compare=False)
    id: str | None = field(compare=False)
    turn: int = field(compare=False)
    turns: int = field(compare=False)
    raw: float = field(compare=False)
    baseline: float = field(compare=False)
    origin: Origin | None = field(compare=False)

    @property
    def row(self) -> int:
        return -self.order


class TopSamples:
    """The `top` highest samples of every trait, kept in one heap each while windows pass by."""

    def __init__(self, traits: int, top: int) -> None:
        self.top = top
        self.heaps: list[list[RankedCandidate]] = [[] for _ in range(traits)]

    def see(self, scores: WindowScores, origins: Sequence[Origin] | None) -> None:
        readings = scores.readings
        counts = readings.counts.numpy()
        begins = np.cumsum(counts) - counts
        for trait, heap in enumerate(self.heaps):
            known = np.flatnonzero(np.isfinite(scores.dp[:, trait]))
            best = known[np.argsort(-scores.dp[known, trait], kind="stable")[: self.top]]
            for i in best.tolist():
                turn = int(scores.turn[i, trait])
                place = int(begins[i]) + turn
                candidate = RankedCandidate(
                    dp=float(scores.dp[i, trait]),
                    order=-int(readings.numbers[i]),
                    line=int(readings.lines[i]),
                    id=readings.ids[i],
                    turn=turn,
                    turns=int(counts[i]),
                    raw=float(scores.raw[i, trait]),
                    baseline=float(scores.baseline[place, trait]),
                    origin=None if origins is None else origins[place],
                )
                if len(heap) < self.top:
                    heapq.heappush(heap, candidate)
                elif candidate > heap[0]:
                    heapq.heapreplace(heap, candidate)

    def ranked(
        self,
        model: Engine,
        traits: ScreenedTraits,
        windows: ReadingWindows,
        calibration: ReferencePercentiles,
    ) -> list[tuple[RankedSample, ...]]:
        """The samples of every trait, highest first, with the tokens of the turn that decides."""
        records = windows.records([candidate.row for heap in self.heaps for candidate in heap])
        samples: list[tuple[RankedSample, ...]] = []
        for trait, heap in enumerate(self.heaps):
            best = sorted(heap, reverse=True)
            values = np.array([[candidate.dp] * len(self.heaps) for candidate in best], np.float32)
            percentiles = calibration.percentiles(values.reshape(-1, len(self.heaps)))[:, trait].tolist()
            samples.append(
                tuple(
                    _with_text(model, traits, windows, records[candidate.row], candidate, trait, percentile)
                    for candidate, percentile in zip(best, percentiles, strict=True)
                )
            )
        return samples


def _with_text(
    model: Engine,
    traits: ScreenedTraits,
    windows: ReadingWindows,
    record: FileRecord,
    candidate: RankedCandidate,
    trait: int,
    percentile: float,
) -> RankedSample:
    conversation = record.conversation()
    row = answer_rows(model, conversation)[candidate.turn]
    (packed,) = pack_turns([row])
    (tokens,) = traits.features.read(model, [packed.row])
    heat = tokens[row.final_start :, trait].double() - candidate.baseline
    question = conversation.messages[answers_in(conversation)[candidate.turn] - 1]["content"]
    return RankedSample(
        row=candidate.row,
        line=candidate.line,
        id=candidate.id,
        turn=candidate.turn + 1,
        turns=candidate.turns,
        dp=candidate.dp,
        raw=candidate.raw,
        percentile=percentile,
        question=question,
        own=None if candidate.origin is None else windows.base.text(candidate.origin),
        tokens=tuple(token_texts(model.tokenizer, row.final)),
        heat=tuple(round(value, 6) for value in heat.tolist()),
    )
