"""The filter keeps exactly the paper's pairs, and a score that is not there is never a low score."""

import pytest

from mindscope.errors import DataError
from mindscope.judges import Judgement, JudgeScore
from mindscope.personas.pair_filter import filter_pairs


def scored(trait: float, coherence: float = 90) -> Judgement:
    return Judgement(JudgeScore.of(float(trait)), JudgeScore.of(float(coherence)))


@pytest.mark.parametrize(
    ("positive", "negative", "kept"),
    [
        (scored(50), scored(49.9), True),
        (scored(49.9), scored(0), False),
        (scored(100), scored(50), False),
        (scored(100, 50), scored(0, 50), True),
        (scored(100, 49.9), scored(0), False),
        (scored(100), scored(0, 49.9), False),
    ],
)
def test_thresholds(positive: Judgement, negative: Judgement, kept: bool) -> None:
    assert filter_pairs([positive], [negative]).kept == ((0,) if kept else ())


def test_no_score_is_not_a_low_score() -> None:
    refused = Judgement(JudgeScore.refusal(), JudgeScore.of(90.0))
    missing = Judgement(JudgeScore.of(0.0), JudgeScore.missing("no number in the reply"))
    filtered = filter_pairs(
        [scored(90), scored(90), scored(90), None, scored(90)],
        [refused, missing, scored(10), scored(10), None],
    )
    assert filtered.kept == (2,)
    counts = filtered.counts
    assert (counts.pairs, counts.kept, counts.refused, counts.missing, counts.empty) == (5, 1, 1, 1, 2)
    assert (counts.positive_weak, counts.negative_strong, counts.incoherent) == (0, 0, 0)


def test_a_pair_fails_on_every_criterion_it_fails() -> None:
    counts = filter_pairs([scored(10, 20)], [scored(80, 20)]).counts
    assert (counts.positive_weak, counts.negative_strong, counts.incoherent, counts.kept) == (1, 1, 1, 0)


def test_own_thresholds() -> None:
    assert filter_pairs([scored(70)], [scored(60)], threshold=65.0, coherence=90.0).kept == (0,)
    assert filter_pairs([scored(70)], [scored(60)], threshold=65.0, coherence=91.0).kept == ()


def test_too_few_pairs_says_how_many_failed_on_what() -> None:
    filtered = filter_pairs([scored(10), scored(90), None], [scored(0), scored(60), scored(0)])
    with pytest.raises(DataError) as caught:
        filtered.require(2, "evil")
    message = str(caught.value)
    assert "only 0 of 3 pairs" in message
    assert "1 with a positive answer too weak" in message
    assert "1 with a negative answer too strong" in message
    assert "1 with an empty answer" in message
    assert "\n" not in message
    filter_pairs([scored(90)], [scored(0)]).require(1, "evil")


def test_sides_of_different_length() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        filter_pairs([scored(90)], [])
