import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from mindscope.errors import ModelError
from mindscope.models import Sampling
from mindscope.models.generation.sample import NOT_FINITE, UniformTable, draw_tokens

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
@pytest.mark.parametrize("narrowed", [{}, {"top_p": 0.9}, {"top_k": 2}])
def test_logits_that_are_not_finite_are_marked_and_their_neighbours_are_drawn(temperature, bad, narrowed):
    logits = torch.tensor([[1.0, bad, 0.0], [0.0, 0.0, 90.0], [-float("inf")] * 3])
    sampling = Sampling(temperature=temperature, **narrowed)
    assert draw_tokens(logits, sampling, torch.full((3,), 0.5)).tolist() == [NOT_FINITE, 2, NOT_FINITE]


def stream(key, n: int) -> list[float]:
    return np.random.default_rng(key).random(n, np.float32).tolist()


def columns(table: UniformTable, n: int) -> list[list[float]]:
    return torch.stack([table.next() for _ in range(n)], 1).tolist()


def test_rows_have_random_numbers_of_their_own_whenever_they_join():
    table = UniformTable(3, torch.device("cpu"))
    table.put(np.array([0, 2]), [(3, 0), 7])
    first = columns(table, 50)
    assert first[0] == stream((3, 0), 50)
    assert first[1] == [0.0] * 50
    assert first[2] == stream(7, 50)
    table.rearrange(np.array([2, 0]), 1)
    table.put(np.array([2]), [(3, 1)])
    table.put(np.array([1]), [None])
    second = columns(table, 90)
    assert second[0] == stream(7, 140)[50:]
    assert second[1][-32:] == [0.0] * 32
    assert second[2] == stream((3, 1), 90)
    assert len({*stream((3, 0), 9), *stream((3, 1), 9), *stream((4, 0), 9), *stream(7, 9)}) == 36


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
