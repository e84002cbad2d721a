"""The sparse code against its dense form."""

import pytest
import torch

from mindscope.dictionaries import SparseCode
from mindscope.errors import DataError


def activations(tokens: int = 7, latents: int = 11) -> torch.Tensor:
    dense = torch.randn(tokens, latents, generator=torch.Generator().manual_seed(0)).relu()
    dense[3] = 0  # a token on which nothing is active
    return dense


def test_dense_and_back():
    dense = activations()
    code = SparseCode.of(dense)
    assert torch.equal(code.dense(), dense)
    assert torch.equal(code.l0, (dense > 0).sum(1))
    assert len(code) == 7


def test_of_top_leaves_out_what_is_not_positive():
    values, indices = torch.randn(5, 9, generator=torch.Generator().manual_seed(1)).topk(6)
    code = SparseCode.of_top(indices, values, 9)
    assert (values <= 0).any()
    assert torch.equal(code.dense(), torch.zeros(5, 9).scatter(1, indices, values.relu()))


def test_joined_and_cut_apart():
    left, right = activations(latents=4), activations(latents=6).flip(1)
    code = SparseCode.joined([SparseCode.of(left), SparseCode.of(right)])
    assert torch.equal(code.dense(), torch.cat([left, right], 1))
    assert torch.equal(code.of_latents(4, 10).dense(), right)
    assert torch.equal(code.of_latents(0, 4).dense(), left)
    with pytest.raises(DataError, match="there are 10"):
        code.of_latents(4, 11)


def test_stacked():
    dense = activations()
    code = SparseCode.stacked([SparseCode.of(part) for part in dense.split(3)])
    assert torch.equal(code.dense(), dense)


def test_of_no_tokens():
    assert SparseCode.of(torch.zeros(0, 4)).dense().shape == (0, 4)
