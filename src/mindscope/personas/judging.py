"""Scores of answers in shards, each a finished file of the run; what the network kept back is asked again.

1. Shards are judged in order and saved. The first few answers of the first shard come first: a judge that
   gives no number for any of them is refused before it is asked about the rest.
2. Scores that a shard of an earlier start has as "unanswered" are asked again. What was scored stays.
3. A shard that is mostly unanswered ends it: the endpoint is down, and the rest would fare no better.
4. A judge that takes several shards at a time is given all after the first together.
5. At the end what is still unanswered is asked once more. A few may stay so; more would choose the answers
   that count by when the network failed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mindscope.core import Progress
from mindscope.errors import JudgeError
from mindscope.judges import Judge, JudgeItem, Judgement, ParallelJudge, Rubric
from mindscope.personas.answers import AnswerRequest, GeneratedAnswer, slices
from mindscope.store import Run, digest

FIRST_ANSWERS = 4
"""Each has two scores: eight replies without a number are no accident."""

MOST_OF_A_SHARD = 0.5
"""The share of a shard that may be unanswered before no other is asked."""

MOST_IN_THE_END = 0.02
"""The share of all answers that may stay unanswered: too few to move a mean or a filter noticeably."""


def judge_answers(
    judge: Judge,
    rubric: Rubric,
    requests: Sequence[AnswerRequest],
    answers: Sequence[GeneratedAnswer],
    run: Run,
    name: str,
    *,
    shard_rows: int,
    scores: str | None = None,
    progress: Progress | None = None,
) -> list[Judgement | None]:
    """One judgement per answer, in order, shard by shard; None where the answer is empty.

    They are kept in the run's folder ``scores``, ``NAME/scores`` by default.

    Raises:
        JudgeError: the judge gives no number for the first answers, or was not reached for too many. What was
            scored is in the run.
    """
    pairs = zip(requests, answers, strict=True)
    items = [
        None if answer.empty else JudgeItem(request.question, answer.text, request.system)
        for request, answer in pairs
    ]
    shards = [
        _ScoreShard(f"{scores or f'{name}/scores'}/{index:04d}.json", shard)
        for index, shard in enumerate(slices(items, shard_rows))
    ]
    judged = 0
    for judgements in _judge_shards(judge, rubric, shards, run):
        _require_answers(judge, judgements, MOST_OF_A_SHARD)
        judged += len(judgements)
        if progress:
            progress(judged, len(items), f"{name}: scores")
    judgements = [judgement for shard in shards for judgement in shard.judge(judge, rubric, run)]
    _require_answers(judge, judgements, MOST_IN_THE_END)
    return judgements


def scores_place(run: Run, claimed: str, name: str, judge: Judge) -> str:
    """Where one judge's scores of a part are: those of several judges lie side by side.

    Before a run could be judged twice, its only scores lay in the folder itself.

    Args:
        run: the run.
        claimed: the part whose setup names the judge that an older version scored with.
        name: of the part.
        judge: who scores.
    """
    if run.load_json(f"{claimed}/setup.json").get("judge") == judge.name and run.has(
        f"{name}/scores/0000.json"
    ):
        return f"{name}/scores"
    return f"{name}/scores/{digest({'judge': judge.name})}"


def without_judge(setup: dict[str, Any]) -> dict[str, Any]:
    """A part's setup as it is compared: answers do not depend on who scores them."""
    return {key: value for key, value in setup.items() if key != "judge"}


def _judge_shards(
    judge: Judge, rubric: Rubric, shards: Sequence["_ScoreShard"], run: Run
) -> Iterator[list[Judgement | None]]:
    """The judgements of each shard, in the order in which they are there."""
    n_alone = 1 if isinstance(judge, ParallelJudge) else len(shards)
    for index, shard in enumerate(shards[:n_alone]):
        yield shard.judge(judge, rubric, run, tries_first=index == 0)
    if not isinstance(judge, ParallelJudge):
        return
    opened = [(shard, shard.open(run)) for shard in shards[n_alone:]]
    yield from (page.known for _, page in opened if page.is_finished)
    pending = [(shard, page) for shard, page in opened if not page.is_finished]
    for number, judgements in judge.judge_many(rubric, (page.items for _, page in pending)):
        shard, page = pending[number]
        yield shard.save(run, page, judgements)


@dataclass(frozen=True)
class _ScorePage:
    """What is known of a shard, and what is still to be asked.

    Attributes:
        known: the judgements that are saved; None where there is none.
        asked: the places and items that are to be judged.
        saved: what the file holds; a longer list than the shard where a longer one was judged before.
        is_new: whether the shard has no judgements, or those of a shorter one.
    """

    known: list[Judgement | None]
    asked: list[tuple[int, JudgeItem]]
    saved: list[Any]
    is_new: bool

    @property
    def is_finished(self) -> bool:
        return not self.asked and not self.is_new

    @property
    def items(self) -> list[JudgeItem]:
        return [item for _, item in self.asked]


@dataclass(frozen=True)
class _ScoreShard:
    piece: str
    items: Sequence[JudgeItem | None]

    def judge(
        self, judge: Judge, rubric: Rubric, run: Run, *, tries_first: bool = False
    ) -> list[Judgement | None]:
        """The judgements, saved; only what has none yet is asked."""
        page = self.open(run)
        if page.is_finished:
            return page.known
        first = FIRST_ANSWERS if tries_first and page.is_new else 0
        judgements: list[Judgement] = []
        for part, is_trial in ((page.items[:first], True), (page.items[first:], False)):
            if not part:
                continue
            judgements += (judged := judge.judge(rubric, part))
            if is_trial and len(part) == FIRST_ANSWERS:
                _require_numbers(judge, judged)
        return self.save(run, page, judgements)

    def open(self, run: Run) -> _ScorePage:
        """What the run holds of it."""
        known: list[Judgement | None] = [None] * len(self.items)
        saved = run.load_json(self.piece) if run.has(self.piece) else []
        # A shard that grew had its answers written again: scores of the shorter one may be of other texts.
        is_new = len(saved) < len(self.items)
        if not is_new:
            known = [entry and Judgement.from_json(entry) for entry in saved[: len(self.items)]]
        asked = [
            (index, item)
            for index, (item, judgement) in enumerate(zip(self.items, known, strict=True))
            if item is not None and (judgement is None or _is_unanswered(judgement))
        ]
        return _ScorePage(known, asked, saved, is_new)

    def save(self, run: Run, page: _ScorePage, judgements: Sequence[Judgement]) -> list[Judgement | None]:
        """All judgements, with those of what was asked, kept in the run."""
        known = list(page.known)
        for (index, _), judgement in zip(page.asked, judgements, strict=True):
            known[index] = judgement
        judged = [judgement and judgement.to_json() for judgement in known]
        run.save_json(self.piece, [*judged, *page.saved[len(judged) :]])
        return known


def _is_unanswered(judgement: Judgement) -> bool:
    return any(score.status == "unanswered" for score in judgement.scores)


def _require_numbers(judge: Judge, judgements: Sequence[Judgement]) -> None:
    for scores in zip(*(judgement.scores for judgement in judgements), strict=True):
        if all(score.status == "missing" for score in scores):
            raise JudgeError(
                f"{judge.name} gave no number for the first {len(scores)} answers, mostly because "
                f"{_commonest(score.detail for score in scores)}: take another judge"
            )


def _require_answers(judge: Judge, judgements: Sequence[Judgement | None], most: float) -> None:
    asked = [judgement for judgement in judgements if judgement is not None]
    unanswered = [judgement for judgement in asked if _is_unanswered(judgement)]
    if len(unanswered) <= most * len(asked):
        return
    details = [s.detail for judgement in unanswered for s in judgement.scores if s.status == "unanswered"]
    raise JudgeError(
        f"{judge.name} did not answer for {len(unanswered)} of {len(asked)} answers, mostly because "
        f"{_commonest(details)}: give the same command again when it answers; what it scored is kept"
    )


def _commonest(details: Iterable[str]) -> str:
    return Counter(details).most_common(1)[0][0]
