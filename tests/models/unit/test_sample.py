import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from mindscope.errors import ModelError
from mindscope.models import Sampling
from mindscope.models.generation.sample import draw_tokens, draw_uniforms

LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0, 0.0, 3.0, -float("inf"), 1.5])


def expected(sampling: Sampling) -> torch.Tensor:
    scores = TemperatureLogitsWarper(float(sampling.temperature))(None, LOGITS[None])
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return scores.softmax(-1)[0]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=2.0, top_k=3),
        Sampling(top_p=0.8),
        Sampling(top_p=0.3),
        Sampling(top_k=4, top_p=0.9),
        Sampling(top_k=100),
    ],
)
def test_an_even_grid_of_random_numbers_draws_the_distribution_of_transformers(sampling):
    n = 20_000
    grid = (torch.arange(n) + 0.5) / n
    drawn = draw_tokens(LOGITS.expand(n, -1), sampling, grid)
    frequencies = torch.bincount(drawn, minlength=len(LOGITS)) / n
    assert torch.allclose(frequencies, expected(sampling), atol=2 / n * len(LOGITS))


def test_the_ends_of_the_unit_interval_draw_tokens_that_are_possible():
    ends = torch.tensor([0.0, 1 - 2**-24])
    logits = torch.tensor([-float("inf"), 1.0, 1.0, -float("inf")]).expand(2, -1)
    assert draw_tokens(logits, Sampling(), ends).tolist() == [1, 2]
    assert draw_tokens(logits, Sampling(top_p=0.6), ends)[0] in (1, 2)


def test_temperature_zero_takes_the_likeliest():
    assert draw_tokens(LOGITS[None], Sampling(temperature=0), torch.tensor([0.9])).tolist() == [5]


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(temperature, bad):
    logits = torch.tensor([[1.0, bad, 0.0]])
    with pytest.raises(ModelError, match="not finite"):
        draw_tokens(logits, Sampling(temperature=temperature), torch.tensor([0.5]))


def test_rows_have_random_numbers_of_their_own():
    sampling = Sampling(max_new_tokens=5, seed=3)
    together = draw_uniforms(sampling, [0, 1, 2], None)
    assert np.array_equal(draw_uniforms(sampling, [2, 0], None), together[[2, 0]])
    assert len(np.unique(together)) == together.size
    assert not np.isin(draw_uniforms(Sampling(max_new_tokens=5, seed=4), [0, 1, 2], None), together).any()
    assert np.array_equal(draw_uniforms(sampling, [1, 0], [7, 8]), draw_uniforms(sampling, [0, 1], [8, 7]))
    longer = draw_uniforms(Sampling(max_new_tokens=9, seed=3), [0, 1, 2], None)
    assert np.array_equal(longer[:, :5], together)  # a longer limit goes on where the shorter one ended


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
        {"stop": ("",)},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ModelError):
        Sampling(**options)
