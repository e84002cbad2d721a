"""The Pareto front of a search for steering to bake, and the choice on it."""

import pytest

from mindscope.errors import DataError
from mindscope.personas import ArmScores, BakeConfig, BakePoint, BakeSearch
from mindscope.personas.baking.search import choose_to_bake, mark_front
from mindscope.stats import Estimate


def arm(trait: float | None, coherence: float | None = 80.0, spread: float = 1.0) -> ArmScores:
    def estimate(value: float | None) -> Estimate | None:
        return None if value is None else Estimate(mean=value, low=value - 1, high=value + 1)

    by_question = (None,) * 4 if trait is None else (trait - spread, trait, trait, trait + spread)
    return ArmScores(
        trait=estimate(trait), coherence=estimate(coherence), answers=4, unscored=0, by_question=by_question
    )


def point(trait: float | None, nats: float, coherence: float | None = 80.0, layer: int = 1) -> BakePoint:
    return BakePoint(
        layer=layer,
        coefficient=1.0,
        scores=arm(trait, coherence),
        divergence=Estimate(mean=nats, low=nats, high=nats),
        worst=2 * nats,
        front=False,
    )


def fronts(points: list[BakePoint], higher: bool = True) -> list[bool]:
    return [marked.front for marked in mark_front(points, higher)]


def test_the_front_holds_what_nothing_beats():
    points = [point(50, 0.1), point(60, 0.2), point(55, 0.3), point(50, 0.1, 90), point(None, 0.0)]
    assert fronts(points) == [False, True, False, True, False]


def test_equals_are_both_on_the_front():
    assert fronts([point(50, 0.1), point(50, 0.1)]) == [True, True]


def test_a_low_score_is_better_where_the_trait_is_to_go():
    assert fronts([point(50, 0.1), point(20, 0.2), point(60, 0.1)], higher=False) == [True, True, False]


def choose(points, *, random=10.0, unsteered=5.0, **config):
    marked = mark_front(points, config.get("goal", "raise") == "raise")
    asked: list[int] = []

    def control(index: int) -> ArmScores:
        asked.append(index)
        return arm(random)

    tried, chosen = choose_to_bake(marked, arm(unsteered), BakeConfig(**config), control)
    assert [i for i, item in enumerate(tried) if item.random is not None] == sorted(set(asked))
    return chosen


def test_the_best_trait_wins_and_ties_go_to_what_diverges_least():
    assert choose([point(50, 0.1), point(80, 0.5), point(78, 0.3)]) == 2
    assert choose([point(50, 0.1), point(80, 0.5), point(70, 0.3)]) == 1


def test_budget_and_floor_are_kept():
    points = [point(50, 0.1), point(80, 0.5), point(90, 0.6, 30)]
    assert choose(points) == 1
    assert choose(points, most_divergence=0.2) == 0
    assert choose(points, most_divergence=0.05) is None


def test_random_directions_must_be_beaten():
    assert choose([point(50, 0.1), point(60, 0.3)], random=60.0) is None
    assert choose([point(20, 0.1), point(10, 0.3)], random=40.0, unsteered=50.0, goal="lower") == 1
    assert choose([point(20, 0.1)], random=20.0, unsteered=50.0, goal="lower") is None


def test_a_trait_that_does_not_move_the_right_way_is_not_chosen():
    assert choose([point(4, 0.1)], random=0.0) is None


def test_no_choice_is_an_error_that_says_what_to_try():
    search = BakeSearch(
        trait="loud",
        fingerprint="f",
        config=BakeConfig(most_divergence=0.5),
        questions=("Why?",),
        texts=2,
        tokens=10,
        unsteered=arm(5),
        points=(point(4, 0.1),),
        chosen=None,
    )
    with pytest.raises(DataError, match=r"raises 'loud' .* within 0.5 nats a token: try other coefficients"):
        search.choice()


def test_other_tokens_than_all_are_refused():
    with pytest.raises(ValueError, match="positions are all"):
        BakeConfig(positions="response")
