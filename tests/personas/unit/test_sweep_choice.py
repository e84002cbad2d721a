"""Which point a sweep picks, from scores made up for the purpose."""

import pytest

from mindscope.errors import DataError
from mindscope.personas.config import SweepConfig
from mindscope.personas.steering.arms import summarise_arm, surely_higher
from mindscope.personas.steering.results import ArmScores, ScoredAnswer, SweepPoint, SweepResult
from mindscope.personas.steering.sweep import CONTROLS, choose_point


def scores(traits: list[float | None], coherence: float | None = 80.0) -> ArmScores:
    return summarise_arm(
        [ScoredAnswer(question="?", answer="!", trait=trait, coherence=coherence) for trait in traits],
        len(traits),
    )


def point(layer: int, traits: list[float | None], coherence: float | None = 80.0) -> SweepPoint:
    return SweepPoint(layer=layer, coefficient=1.0, scores=scores(traits, coherence))


UNSTEERED = scores([5.0, 0.0, 10.0, 5.0])
NOTHING = scores([5.0, 10.0, 0.0, 5.0])


def chosen(points: list[SweepPoint], control=lambda point: NOTHING, floor: float = 60.0) -> int | None:
    return choose_point(points, UNSTEERED, floor, control)[1]


def test_the_highest_score_wins() -> None:
    assert chosen([point(0, [40.0] * 4), point(1, [90.0] * 4), point(2, [70.0] * 4)]) == 1


def test_coherence_is_held() -> None:
    points = [point(0, [70.0] * 4), point(1, [100.0] * 4, 59.9)]
    assert chosen(points) == 0
    assert chosen(points, floor=59.0) == 1


def test_near_ties_go_to_the_more_coherent() -> None:
    assert chosen([point(0, [96.0] * 4, 70.0), point(1, [92.0] * 4, 90.0), point(2, [90.0] * 4, 95.0)]) == 1


def test_what_a_random_vector_does_as_well_is_passed_over() -> None:
    points = [point(0, [60.0] * 4), point(1, [90.0] * 4)]
    tried, index = choose_point(
        points, UNSTEERED, 60.0, lambda each: scores([88.0, 92.0, 90.0, 91.0]) if each.layer == 1 else NOTHING
    )
    assert index == 0
    assert tried[0].random == NOTHING
    assert tried[1].random is not None
    assert tried[1].random.trait is not None


def test_nothing_qualifies() -> None:
    tried, index = choose_point([point(0, [90.0] * 4)], UNSTEERED, 60.0, lambda each: scores([90.0] * 4))
    assert index is None
    config = SweepConfig(coherence_floor=60.0)
    sweep = SweepResult(
        trait="loud",
        fingerprint="f",
        config=config,
        questions=("?",),
        unsteered=UNSTEERED,
        points=tuple(tried),
        chosen=index,
    )
    with pytest.raises(DataError, match="coherence >= 60"):
        sweep.choice()


def test_points_that_cannot_be_chosen() -> None:
    unscored = point(0, [100.0, None, None, None])
    silent = point(1, [None] * 4, None)
    lower = point(2, [4.0] * 4)
    assert chosen([unscored, silent, lower]) is None
    assert chosen([point(0, [100.0, 100.0, None, None])]) == 0


def test_controls_are_bounded() -> None:
    asked: list[int] = []

    def control(each: SweepPoint) -> ArmScores:
        asked.append(each.layer)
        return each.scores

    assert chosen([point(layer, [90.0] * 4) for layer in range(20)], control) is None
    assert len(asked) == len(set(asked)) == CONTROLS


def test_missing_scores_count_in_no_mean() -> None:
    some = scores([80.0, None, 40.0])
    assert some.trait is not None
    assert (some.trait.mean, some.unscored, some.by_question) == (60.0, 1, (80.0, None, 40.0))
    samples = [
        ScoredAnswer(question="a", answer="", trait=None, coherence=None),
        ScoredAnswer(question="a", answer="x", trait=50.0, coherence=50.0),
        ScoredAnswer(question="b", answer="x", trait=10.0, coherence=90.0),
        ScoredAnswer(question="b", answer="x", trait=30.0, coherence=70.0),
    ]
    assert summarise_arm(samples, 2).by_question == (50.0, 20.0)
    assert scores([None, None], None).trait is None


def test_surely_higher_goes_question_by_question() -> None:
    assert surely_higher(scores([50.0, 90.0, 20.0]), scores([40.0, 80.0, 10.0]))
    assert not surely_higher(scores([50.0, 90.0, 20.0]), scores([90.0, 20.0, 40.0]))
    assert not surely_higher(scores([None, 90.0]), scores([10.0, None]))


@pytest.mark.parametrize("coefficients", [(), (0.0, 1.0), (-1.0,)])
def test_coefficients_are_positive(coefficients: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="coefficients"):
        SweepConfig(coefficients=coefficients)
