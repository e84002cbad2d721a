"""The study of double descent: its data, its detector, and what its verdicts need."""

import pytest
import torch

from mindscope.studies.common import feature_dimensionality
from mindscope.studies.double_descent.claims import find_crossing, find_takeover, list_claims
from mindscope.studies.double_descent.config import PRESETS, DescentConfig
from mindscope.studies.double_descent.descent import draw_samples, measure_repeated, measure_size, tell_apart
from mindscope.studies.double_descent.results import SampleSize

SMALL = DescentConfig(
    features=64, density=0.05, samples=(5,), seeds=2, starts=2, steps=1500, warmup=50, learning_rate=1e-2
)


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


def test_samples_have_unit_norm_and_none_is_empty():
    x = draw_samples(SMALL.model_copy(update={"density": 0.005}), 2, 300, 0)
    torch.testing.assert_close(x.norm(dim=1), torch.ones(2, 300))
    assert x.min() >= 0
    assert not torch.equal(x[0], x[1])


def test_five_samples_become_a_pentagon():
    """m / T, and no feature is stored as well."""
    size = measure_size(SMALL, 5, 2, 0, silent)
    assert size.samples_share == pytest.approx((0.4, 0.4), rel=0.1)
    assert max(size.features_share) < 0.4
    assert max(size.train_loss) < 0.1 < min(size.test_loss)


def test_a_sample_that_stands_often_is_found_by_its_dimensionality():
    config = SMALL.model_copy(update={"steps": 800, "repeats": (1, 64)})
    once, often = (measure_repeated(config, 96, repeats, 0, silent) for repeats in (1, 64))
    assert min(often.auroc) > 0.8  # the study asks for more, of larger sets
    assert sum(often.share_repeated) > 2 * sum(often.share_once)
    assert max(once.auroc) < 0.8


def test_the_dimensionality_of_samples_in_a_polygon_is_m_over_t():
    angles = 2 * torch.pi * torch.arange(7) / 7
    h = torch.stack([angles.cos(), angles.sin()])[None]
    torch.testing.assert_close(feature_dimensionality(h), torch.full((1, 7), 2 / 7), atol=1e-5, rtol=0)


def test_telling_apart():
    assert tell_apart(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1.0
    assert tell_apart(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])) == 0.5


def sizes_of(samples: list[float], features: list[float]) -> list[SampleSize]:
    return [
        SampleSize(
            samples=10**place,
            hidden=2,
            train_loss=(0.0,),
            test_loss=(1.0,),
            weight_norm=(1.0,),
            samples_share=(ours,),
            features_share=(others,),
        )
        for place, (ours, others) in enumerate(zip(samples, features, strict=True))
    ]


def test_where_two_curves_cross():
    sizes = sizes_of([0.4, 0.1, 0.01], [0.04, 0.1, 0.3])
    assert find_crossing(sizes, 0) == pytest.approx(10.0)
    assert find_takeover(sizes, 0) == 100
    assert find_crossing(sizes_of([0.4, 0.2], [0.1, 0.1]), 0) is None
    assert find_crossing(sizes_of([0.1, 0.1], [0.2, 0.3]), 0) is None


def test_the_published_constants_stand_in_the_paper_preset():
    paper = PRESETS["paper"].descent
    assert (paper.features, paper.density, paper.hidden, paper.seeds) == (10_000, 0.001, 2, 4)
    assert (paper.steps, paper.warmup, paper.learning_rate, paper.weight_decay) == (50_000, 2500, 1e-3, 1e-2)


def test_verdicts_turn_with_the_numbers(small_double_descent):
    """The order of crossing, peak and features decides."""

    def verdicts(peak: int) -> list[bool | None]:
        shares = sizes_of([0.4, 0.04, 0.01, 0.001], [0.1, 0.1, 0.1, 0.3])
        sizes = [
            size.model_copy(
                update={
                    name: values * 2
                    for name, values in (
                        ("samples_share", size.samples_share),
                        ("features_share", size.features_share),
                        ("test_loss", (5.0 if place == peak else 1.0,)),
                    )
                }
            )
            for place, size in enumerate(shares)
        ]
        study = small_double_descent.model_copy(update={"sizes": tuple(sizes)})
        return [claim.holds for claim in list_claims(study)[2:4]]

    assert verdicts(peak=2) == [True, True]
    assert verdicts(peak=1) == [True, True]
    assert verdicts(peak=0) == [False, False]
    assert verdicts(peak=3)[0] is False
