"""The study of toy models: its parts on small sizes, and what its verdicts need."""

import numpy as np
import pytest
import torch

from mindscope.studies.common import ToyModels, ToyTraining
from mindscope.studies.superposition.claims import count_near, list_claims
from mindscope.studies.superposition.config import PRESETS, GeometryConfig, spaced
from mindscope.studies.superposition.geometry import draw_linear, keep_first, measure_band, raise_loss
from mindscope.studies.superposition.measure import best_starts, measure_polytopes, paired_uniform
from mindscope.studies.superposition.phase import predict_phase
from mindscope.studies.superposition.results import GeometryBand
from mindscope.studies.superposition.savings import (
    FRAMES,
    best_densities,
    lead,
    measure_savings,
    polytope_saving,
    simplex_cosines,
)

QUICK = PRESETS["quick"]
SAMPLES = QUICK.saving_samples


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


def test_the_pentagon_and_the_octahedron_come_out():
    """The bar of the study, on its quick preset: within 0.005 in at least 7 of 8 seeds."""
    config = QUICK.model_copy(update={"small": QUICK.small.model_copy(update={"steps": 1500})})
    pentagon, octahedron, _ = measure_polytopes(config, 0, silent).fits
    for fit, share in ((pentagon, 0.4), (octahedron, 0.5)):
        assert fit.expected == share
        assert len(fit.farthest) == 8
        assert sum(distance <= 0.005 for distance in fit.farthest) >= 7
        assert min(fit.random) > 0.005


def test_untrained_models_are_no_polytopes():
    config = QUICK.model_copy(update={"small": ToyTraining(steps=1, samples=8)})
    pentagon, *_ = measure_polytopes(config, 0, silent).fits
    assert min(pentagon.farthest) > 0.005


def test_what_closed_forms_predict_at_the_corners():
    assert predict_phase(2, 1.0, 0.1) == "absent"
    assert predict_phase(2, 1.0, 10.0) == "own"
    assert predict_phase(2, 0.01, 1.0) == "shared"
    assert predict_phase(3, 0.01, 0.5) == "shared"
    assert predict_phase(3, 0.01, 2.0) == "own"


@pytest.mark.parametrize("importance", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("density", [0.05, 0.4, 0.9])
def test_closed_forms_are_the_losses_of_hand_made_weights(density, importance):
    """Of two features in one dimension: one alone, the other alone, both antipodal."""
    W = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, -1.0]]])
    b = torch.tensor([[0.0, density / 2], [density / 2, 0.0], [0.0, 0.0]])
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 400_000, generator=generator) * (torch.rand(2, 400_000, generator=generator) < density)
    losses = ToyModels(W, b).losses(x.expand(3, -1, -1), torch.tensor([[1.0, importance]]))
    missing, pair = density / 3 - density**2 / 4, density**2 / 6
    expected = torch.tensor([importance * missing, missing, (1 + importance) * pair])
    torch.testing.assert_close(losses, expected, rtol=0.02, atol=1e-4)
    assert predict_phase(2, density, importance) == ("absent", "own", "shared")[int(expected.argmin())]


def test_sets_are_active_together_or_never_together():
    for kind, both in (("independent", 0.09), ("correlated", 0.3), ("anticorrelated", 0.0)):
        x = paired_uniform(kind, 1, 4, 0.3, 100_000, seed=0)(0)[0]
        on = x > 0
        assert (on[0] & on[1]).float().mean() == pytest.approx(both, abs=0.01)
        assert (on[0] & on[2]).float().mean() == pytest.approx(
            0.0225 if kind == "anticorrelated" else 0.09, abs=0.01
        )


def test_the_best_start_of_every_seed_is_taken():
    assert best_starts(torch.tensor([3.0, 1.0, 2.0, 0.5, 4.0, 9.0]), 2).tolist() == [1, 3]


def test_a_plateau_is_what_is_denser_than_around_it():
    assert count_near([0.5] * 8 + [0.53] * 2, 0.5) == (8, pytest.approx(16.0))
    assert count_near([0.46 + 0.001 * i for i in range(81)], 0.5)[1] < 1.5  # evenly spread: no plateau
    assert count_near([], 0.5) == (0, 0.0)


def test_attacks_do_not_gain_without_superposition_and_do_with_it():
    x = torch.rand(1, 6, 400) * (torch.rand(1, 6, 400) < 0.3)
    alone = raise_loss(keep_first(1, 3, 6, 0.3), x)
    assert raise_loss(draw_linear(1, 3, 6, 0.3, 0), x) == pytest.approx(float(alone), rel=0.35)
    pairs = torch.zeros(1, 3, 6)
    for i in range(3):  # antipodal pairs: pushing one feature up also pushes another that is active down
        pairs[0, i, 2 * i], pairs[0, i, 2 * i + 1] = 1.5, -1.5
    assert raise_loss(ToyModels(pairs, torch.zeros(1, 6)), x) > 2 * alone


def test_the_linear_model_is_the_best_there_is():
    x = torch.rand(1, 6, 200_000) * (torch.rand(1, 6, 200_000) < 0.3)
    loss = draw_linear(1, 3, 6, 0.3, 0).losses(x, torch.ones(1, 6))
    variance = 0.3 / 3 - (0.3 / 2) ** 2
    assert float(loss) == pytest.approx(3 * variance, rel=0.02)  # three of six dimensions are lost


def test_densities_are_even_in_the_logarithm():
    assert spaced(1.0, 0.01, 3) == (1.0, 0.1, 0.01)
    assert len(PRESETS["paper"].geometry.densities) == 32


def test_the_published_constants_stand_in_the_paper_preset():
    paper = PRESETS["paper"]
    assert (paper.geometry.features, paper.geometry.hidden) == (400, 30)
    for training in (paper.small, paper.geometry.training, paper.phase.training, paper.computing):
        assert (training.steps, training.samples, training.learning_rate) == (10_000, 1024, 1e-3)


def test_verdicts_turn_with_the_numbers(small_superposition):
    fits = small_superposition.polytopes

    def verdict(farthest: float) -> bool | None:
        octahedron = fits.fits[1].model_copy(update={"farthest": (farthest,) * 2})
        changed = fits.model_copy(update={"fits": (fits.fits[0], octahedron, fits.fits[2])})
        claims = list_claims(small_superposition.model_copy(update={"polytopes": changed}))
        (claim,) = [claim for claim in claims if claim.subject.startswith("octahedron")]
        return claim.holds

    assert verdict(0.004) is True
    assert verdict(0.006) is False


def test_settling_goes_on_from_the_trained_models():
    """Pentagons that a few noisy steps leave open close in a second training, and its steps are told."""
    rough = ToyTraining(steps=600, samples=64, learning_rate=3e-2)
    still = ToyTraining(steps=400, samples=1024, learning_rate=1e-2, cosine=True)
    config = GeometryConfig(features=5, hidden=2, densities=(0.03,), seeds=4, training=rough)
    told: list[tuple[int, int]] = []
    open_, closed = (
        measure_band(one, 0.03, 0, lambda done, total: told.append((done, total)))
        for one in (config, config.model_copy(update={"settling": still}))
    )
    assert told[600:] == [(step + 1, 1000) for step in range(1000)]

    def off(band: GeometryBand) -> float:
        return sum(abs(share - 0.4) for row in band.dimensionalities for share in row)

    assert off(closed) < 0.5 * off(open_)


def test_a_dimension_of_its_own_saves_one_variance_and_a_pair_what_its_closed_form_says():
    assert polytope_saving(torch.ones(1, 1, dtype=torch.float64), 1, 0.5, 1000, 0) == pytest.approx((1, 0))
    density = 0.2
    plain = 2 - density**2 / 3 / (density / 3 - density**2 / 4)  # with scale 1 and no bias
    saved, error = polytope_saving(simplex_cosines(2), 1, density, SAMPLES, 0)
    assert plain - 4 * error < saved < plain + 0.02


@pytest.mark.parametrize("name", ["triangle", "pentagon"])
def test_the_saving_is_that_of_a_plain_search(name):
    """Without the linear model beside it, and with a grid in place of a descent."""
    cosines, dimensions = FRAMES[name]
    draw = np.random.default_rng(0)
    density = 0.4
    x = draw.random((40_000, len(cosines))) * (draw.random((40_000, len(cosines))) < density)
    least = min(
        ((np.maximum(scale * x @ cosines.numpy() + bias, 0) - x) ** 2).sum(1).mean()
        for scale in np.linspace(0.6, 1.2, 25)
        for bias in np.linspace(0, 0.2, 21)
    )
    variance = density / 3 - density**2 / 4
    expected = (len(cosines) * variance - least) / variance / dimensions
    saved, _ = polytope_saving(cosines, dimensions, density, SAMPLES, 0)
    assert saved == pytest.approx(expected, abs=0.03)


def test_which_polytope_is_worth_most_hangs_on_the_density(monkeypatch):
    """Pairs where features are sparser, then triangles; tetrahedra lead nowhere by a hundredth."""
    monkeypatch.setattr("mindscope.studies.superposition.savings.DENSITIES", (0.85, 0.75, 0.6, 0.5, 0.2))
    savings = measure_savings(SAMPLES, 0, silent)
    assert 0.5 in best_densities(savings, "antipodal pair")
    assert best_densities(savings, "triangle") == [0.75]
    assert best_densities(savings, "tetrahedron") == [0.85]
    assert 0 < lead(savings, "tetrahedron") < 0.01 < lead(savings, "antipodal pair")
    assert 0.2 in best_densities(savings, "pentagon")
