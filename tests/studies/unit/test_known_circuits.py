"""Prompts, exchanges and verdicts of the study of known circuits."""

import random

import pytest
import torch

from mindscope.stats import RateEstimate
from mindscope.studies.known_circuits import HeadEffect, HeadRanking, KnownCircuits, NameSwap, claim_table
from mindscope.studies.known_circuits.prompts import CHOSEN_FRAMES, HELD_FRAMES, draw_prompts
from mindscope.studies.known_circuits.swap import NameFeatures


def test_prompts_name_two_and_the_receiver_is_first_as_often_as_second():
    prompts = draw_prompts(HELD_FRAMES, 40, 3)
    assert sum(prompt.receiver for prompt in prompts) == 20
    for prompt in prompts:
        assert len({prompt.answer, prompt.giver, prompt.other}) == 3
        assert prompt.text.startswith(prompt.beginning)
        assert prompt.beginning.endswith(prompt.answer)
        assert prompt.text.count(prompt.giver) == prompt.opposite.count(prompt.answer) == 2
    assert not {*CHOSEN_FRAMES} & {*HELD_FRAMES}
    assert draw_prompts(HELD_FRAMES, 40, 3) == prompts != draw_prompts(HELD_FRAMES, 40, 4)


@pytest.fixture
def features() -> NameFeatures:
    generator = torch.Generator().manual_seed(0)
    (prompt,) = draw_prompts(HELD_FRAMES, 1, 0)
    means = {name: torch.randn(60, generator=generator) for name in (prompt.answer, prompt.other)}
    return NameFeatures(means, torch.randn(60, 8, generator=generator), (20, 30, 10))


def test_an_exchange_takes_what_differs_most_and_strength_1_ends_at_the_other_names_mean(features):
    (prompt,) = draw_prompts(HELD_FRAMES, 1, 0)
    active = torch.randn(60, generator=torch.Generator().manual_seed(1))
    amounts = features.exchange(prompt, active, 10, 1.0)
    own, other = features.means[prompt.answer], features.means[prompt.other]
    moved = (other - own).abs() * features.writes.norm(dim=1)
    assert {*amounts} == {*moved.argsort(descending=True)[:10].tolist()}
    for column, amount in amounts.items():
        assert active[column] + amount == pytest.approx(float(other[column]), abs=1e-5)
    assert [features.place(column) for column in (0, 19, 20, 50)] == [(0, 0), (0, 19), (1, 0), (2, 0)]


def test_random_features_are_others_of_the_same_layers_that_are_on_and_move_the_stream_as_far(features):
    (prompt,) = draw_prompts(HELD_FRAMES, 1, 0)
    active = torch.randn(60, generator=torch.Generator().manual_seed(1)).relu()
    amounts = features.exchange(prompt, active, 10, 1.0)
    drawn = features.match(amounts, active, random.Random(0))
    assert not {*drawn} & {*amounts}
    assert all(active[column] for column in drawn)
    layers = {features.place(column)[0] for column in amounts}
    assert {features.place(column)[0] for column in drawn} <= layers
    assert features.size_of(drawn) == pytest.approx(features.size_of(amounts), rel=1e-4)


def result(hits: int, random_hits: int, loaded: list[int]) -> KnownCircuits:
    def heads(numbers):
        return tuple(HeadEffect(layer=0, head=n, loading=1.0, patched=1.0) for n in numbers)

    def rate(count):
        return RateEstimate.of([index < count for index in range(50)])

    swap = NameSwap(
        features=1, strength=1.0, chosen=1.0, right=rate(50), swapped=rate(hits), random=rate(random_hits),
        pushed=rate(0), pushed_at_name=rate(0), size=1.0,
    )  # fmt: skip
    ranking = HeadRanking(prompts=1, loaded=heads(loaded), patched=heads(range(6)), correlation=0.5)
    return KnownCircuits(model="m", fingerprint="f", traced=(), textbook=ranking, heads=ranking, swap=swap)


@pytest.mark.parametrize(
    ("hits", "random_hits", "loaded", "expected"),
    [
        (50, 0, [4, 0, 2], [True, True, True]),
        (50, 0, [5, 0, 2], [False, False, True]),  # the sixth by patching is not among five
        (39, 0, [0, 1, 2], [True, True, False]),  # 78 %
        (50, 50, [0, 1, 2], [True, True, False]),  # random features do as much
    ],
)
def test_a_claim_holds_where_its_bar_is_met(hits, random_hits, loaded, expected):
    measured = result(hits, random_hits, loaded)
    assert [claim.holds for claim in measured.claims()] == expected
    assert [row[-1] for row in claim_table(measured)] == ["yes" if holds else "NO" for holds in expected]
    assert KnownCircuits.model_validate(measured.to_json()) == measured
