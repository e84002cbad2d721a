"""Judges that fail while answers are scored: what is kept, what is asked again, and when it ends."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from mindscope.errors import JudgeError
from mindscope.judges import JudgeItem, Judgement, JudgeScore, Rubric
from mindscope.personas.answers import AnswerRequest, GeneratedAnswer
from mindscope.personas.judging import judge_answers
from mindscope.store import Run

RUBRIC = Rubric("evil", "", "{question} {answer}")
OUTAGE = Judgement(*[JudgeScore.unanswered("HTTP 429: slow down")] * 2)
PROSE = Judgement(*[JudgeScore.missing("the judge wrote 'Well' instead of a number")] * 2)


class NumberedJudge:
    """Scores answer N with N, or with what ``fails`` says."""

    name = "numbered"

    def __init__(self, fails: Callable[[int], Judgement | None] = lambda number: None) -> None:
        self.fails = fails
        self.asked: list[int] = []

    def judge(self, rubric: Rubric, items: Sequence[JudgeItem]) -> list[Judgement]:
        return [self._judge(int(item.answer)) for item in items]

    def _judge(self, number: int) -> Judgement:
        self.asked.append(number)
        return self.fails(number) or Judgement(JudgeScore.of(number), JudgeScore.of(90))


def scores(judge: NumberedJudge, run: Run, n: int = 24, shard_rows: int = 8) -> list[float | None]:
    answers = [GeneratedAnswer(str(number), "stop") for number in range(n)]
    requests = [AnswerRequest("q", 0)] * n
    judgements = judge_answers(judge, RUBRIC, requests, answers, run, "part", shard_rows=shard_rows)
    return [judgement.trait.value if judgement else None for judgement in judgements]


def test_an_outage_is_loud_and_ends_with_what_no_outage_gives(run):
    judge = NumberedJudge(lambda number: OUTAGE if number >= 10 else None)
    with pytest.raises(
        JudgeError, match=r"6 of 8 answers, mostly because HTTP 429: slow down: give the same"
    ):
        scores(judge, run)
    assert max(judge.asked) == 15  # the third shard was not asked
    again = NumberedJudge()
    assert scores(again, run) == list(range(24))
    assert sorted(again.asked) == list(range(10, 24))  # what was scored was not asked again


def test_a_short_outage_is_asked_again_at_the_end(run):
    tried: set[int] = set()

    def fails_once(number: int) -> Judgement | None:
        if number in (3, 9, 10) and number not in tried:
            tried.add(number)
            return OUTAGE
        return None

    judge = NumberedJudge(fails_once)
    assert scores(judge, run) == list(range(24))
    assert judge.asked == [*range(24), 3, 9, 10]


def test_a_few_that_are_never_answered_stay_so_and_more_end_it(run, tmp_path):
    lonely = scores(NumberedJudge(lambda number: OUTAGE if number == 30 else None), run, n=80)
    assert lonely == [None if number == 30 else number for number in range(80)]
    with (
        Run.open(tmp_path / "other", kind="test", config={}) as other,
        pytest.raises(JudgeError, match="2 of 80 answers"),
    ):
        scores(NumberedJudge(lambda number: OUTAGE if number in (30, 60) else None), other, n=80)


def test_one_score_of_two_is_asked_again(run):
    half = Judgement(JudgeScore.of(5), JudgeScore.unanswered("timeout"))
    with pytest.raises(JudgeError, match="timeout"):
        scores(NumberedJudge(lambda number: half if number in (5, 6) else None), run)
    again = NumberedJudge()
    assert scores(again, run) == list(range(24))
    assert again.asked == [5, 6]


@pytest.mark.parametrize("which", ["both", "trait"])
def test_a_judge_that_gives_no_number_is_refused_after_a_few_answers(run, which):
    spoken = PROSE if which == "both" else Judgement(PROSE.trait, JudgeScore.of(90))
    judge = NumberedJudge(lambda number: spoken)
    with pytest.raises(JudgeError, match=r"no number for the first 4 answers.*'Well' instead of a number"):
        scores(judge, run)
    assert judge.asked == [0, 1, 2, 3]
    assert scores(NumberedJudge(), run) == list(range(24))  # nothing of it was kept


def test_missing_scores_with_a_reason_are_kept_and_not_asked_again(run):
    judge = NumberedJudge(lambda number: PROSE if number % 2 else None)
    values = scores(judge, run)
    assert values[1::2] == [None] * 12
    again = NumberedJudge()
    assert scores(again, run) == values
    assert again.asked == []


class LaterFirstJudge(NumberedJudge):
    """Takes all shards together, and is through with the last of them first."""

    def judge_many(
        self, rubric: Rubric, batches: Iterable[Sequence[JudgeItem]]
    ) -> Iterator[tuple[int, list[Judgement]]]:
        for number, items in reversed(list(enumerate(batches))):
            yield number, self.judge(rubric, items)


def test_shards_that_are_judged_side_by_side_leave_what_one_after_the_other_leaves(run, tmp_path):
    wanted = scores(NumberedJudge(), run, n=30)
    with Run.open(tmp_path / "other", kind="test", config={}) as other:
        judge = LaterFirstJudge(lambda number: OUTAGE if 16 <= number < 22 else None)
        with pytest.raises(JudgeError, match="6 of 8 answers"):
            scores(judge, other, n=30)
        assert judge.asked[:8] == list(range(8))  # the first shard alone, its first answers before the rest
        again = LaterFirstJudge()
        assert scores(again, other, n=30) == wanted
        assert set(range(16, 22)) <= set(again.asked)
        assert not set(again.asked) & {*range(8), *range(24, 30)}  # what was scored was not asked again
        pieces = sorted(path.relative_to(run.path) for path in run.path.rglob("scores/*.json"))
        assert len(pieces) == 4
        assert all((run.path / piece).read_bytes() == (other.path / piece).read_bytes() for piece in pieces)
