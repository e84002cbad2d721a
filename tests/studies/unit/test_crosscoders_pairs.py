"""The study of crosscoders, of pairs of models: exclusive latents, their controls, and cosines."""

import pytest
import torch
from crosscoder_kit import WIDTH, crosscoder, draw, pool_of

from mindscope.features import SparseCode
from mindscope.studies.crosscoders.exclusive import (
    correlations,
    match_density,
    measure_mirror,
    score_pair,
    token_bits,
)
from mindscope.studies.crosscoders.pairs import use_twice


def code_of(dense: torch.Tensor) -> SparseCode:
    tokens, latents = dense.nonzero().T
    return SparseCode.by_token(latents, dense[tokens, latents], tokens, *dense.shape)


def test_bits_are_the_entropy_of_the_token():
    dense = torch.zeros(8, 3)
    dense[:, 0] = 1.0  # on eight different tokens
    dense[[0, 1], 1] = 5.0  # twice on one and the same
    ids = torch.tensor([3, 3, 4, 5, 6, 7, 8, 9])
    bits = token_bits(code_of(dense), ids)
    assert bits[0] == pytest.approx(6 * 3 / 8 + 2 * 2 / 8)
    assert bits[1:].tolist() == [0.0, 0.0]


def test_density_is_matched_by_ratio_and_each_latent_given_once():
    density = torch.tensor([0.1, 0.01, 0.09, 0.012, 0.5])
    assert match_density(density, torch.tensor([0, 1]), torch.tensor([2, 3, 4])).tolist() == [2, 3]
    assert match_density(density, torch.tensor([0, 0]), torch.tensor([2, 3, 4])).tolist() == [2, 4]
    assert match_density(density, torch.tensor([0, 1]), torch.tensor([4])).tolist() == [4]


def test_mirrors_are_told_from_latents_that_are_as_dense():
    dense = (draw(500, 6) > 1).float() * draw(500, 6, seed=1).abs()
    dense[:, 1] = 2 * dense[:, 0]  # the base's first is the tuned model's first
    code = code_of(dense)
    density = (dense > 0).float().mean(0)
    mirrored = measure_mirror(code, density, torch.tensor([1]), torch.tensor([0]), torch.tensor([2, 3]))
    assert mirrored is not None
    assert mirrored > 0.8
    other = measure_mirror(code, density, torch.tensor([4]), torch.tensor([0]), torch.tensor([2, 3]))
    assert other == pytest.approx(0.0, abs=0.15)
    assert measure_mirror(code, density, torch.tensor([]), torch.tensor([0]), torch.tensor([2])) is None


def test_correlations_are_those_of_numpy():
    a, b = draw(50, 3), draw(50, 2, seed=1)
    expected = torch.corrcoef(torch.cat([a, b], 1).T)[:3, 3:]
    torch.testing.assert_close(correlations(a, b).float(), expected, atol=1e-5, rtol=1e-4)
    assert correlations(torch.ones(50, 1), b).abs().max() < 1e-6


def test_a_pair_whose_latents_are_known():
    """Latent 0 is the base's, 1 the tuned model's, 2 and 3 are shared, 4 is designated shared."""
    x = torch.zeros(320, 2 * WIDTH)
    on = torch.zeros(320, 5, dtype=torch.bool)
    for latent, every in enumerate((4, 5, 32, 64, 2)):
        on[::every, latent] = True
    directions = torch.eye(WIDTH)[:5]
    x[:, :WIDTH] = on.float() @ directions
    x[:, WIDTH:] = x[:, :WIDTH]
    pool = pool_of(x, x, ("base", "tuned"))
    W_dec = torch.cat([directions, directions], 1)
    W_dec[0, WIDTH:] = 0
    W_dec[1, :WIDTH] = 0
    order = [4, 0, 1, 2, 3]  # designated latents are the first
    coder = crosscoder(torch.cat([directions, torch.zeros(5, WIDTH)], 1)[order], W_dec[order], pool)
    scores = score_pair("x", coder, pool, designated=1)
    assert scores.exclusive == (1, 1)
    assert scores.shared == 2
    assert scores.alive == 5
    assert scores.density[0] == pytest.approx(1 / 5)  # torch's median is the lower of two
    assert scores.density[1] == pytest.approx(1 / 64)
    assert sum(scores.norms) == 5
    assert (scores.norms[0], scores.norms[-1]) == (1, 1)
    assert scores.claimed == 1
    assert scores.shrunk == 1  # the base has it, and its error holds it
    assert scores.real == 0


def test_cosines_are_ranked_against_bits():
    """Four shared latents, of which those whose rows agree better are active on more tokens."""
    x, W_dec, steps = torch.zeros(256, 2 * WIDTH), torch.zeros(4, 2 * WIDTH), (16, 8, 4, 2)
    directions = torch.eye(WIDTH)
    for latent, every in enumerate(steps):
        x[::every, latent] = 1.0
        angle = torch.tensor(1.2 - 0.4 * latent)
        W_dec[latent, :WIDTH] = directions[latent]
        W_dec[latent, WIDTH:] = angle.cos() * directions[latent] + angle.sin() * directions[7]
    pool = pool_of(x, x, ("base", "tuned"))
    W_enc = torch.cat([directions[:4], torch.zeros(4, WIDTH)], 1)
    assert score_pair("x", crosscoder(W_enc, W_dec, pool), pool).cosine == pytest.approx(1.0)
    turned = W_dec[[3, 2, 1, 0]]
    turned[:, :WIDTH] = W_dec[:, :WIDTH]
    for latent, own in enumerate((3, 2, 1, 0)):
        angle = torch.tensor(1.2 - 0.4 * own)
        turned[latent, WIDTH:] = angle.cos() * directions[latent] + angle.sin() * directions[7]
    assert score_pair("x", crosscoder(W_enc, turned, pool), pool).cosine == pytest.approx(-1.0)


def test_the_same_model_twice_has_nothing_of_its_own():
    twice = use_twice(pool_of(draw(60, 2 * WIDTH), draw(20, 2 * WIDTH), ("base", "tuned")))
    for part in (twice.train, twice.held):
        assert torch.equal(part[:, :WIDTH], part[:, WIDTH:])
    assert {site.model for site in twice.sites} == {"base", "tuned"}
