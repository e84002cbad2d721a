"""Sparse encoding and decoding against dense autograd."""

import pytest
import torch
from torch import Tensor

from mindscope.dictionaries.training import kernels
from mindscope.dictionaries.training.kernels import Choice, PositivePart, TopOfBatch, TopOfTokens

TOKENS, D, LATENTS, K = 200, 24, 512, 8


def weights() -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = ((LATENTS, D), (LATENTS,), (LATENTS, D), (D,))
    return [torch.randn(*shape, generator=draw).requires_grad_() for shape in shapes]


def data() -> Tensor:
    return torch.randn(TOKENS, D, generator=torch.Generator().manual_seed(1))


def dense(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor, mask: Tensor) -> Tensor:
    return (((x - b_dec) @ W_enc.T + b_enc) * mask) @ W_dec + b_dec


def mask_of(choice: Choice, pre: Tensor) -> Tensor:
    """What the choice means, written with sorts of everything."""
    scores = pre if isinstance(choice, PositivePart) or choice.weights is None else pre * choice.weights
    if isinstance(choice, PositivePart):
        mask = torch.ones_like(pre)
    elif isinstance(choice, TopOfTokens):
        mask = torch.zeros_like(pre).scatter(1, scores.argsort(1, descending=True)[:, : choice.k], 1)
    else:
        order = scores.flatten().argsort(descending=True)[: choice.k * len(pre)]
        mask = torch.zeros(pre.numel()).scatter(0, order, 1).view_as(pre)
    return mask * (pre > 0)


CHOICES = {
    "topk": TopOfTokens(K),
    "topk, few positive": TopOfTokens(300),
    "topk, weighted": TopOfTokens(K, torch.linspace(0.5, 2, LATENTS)),
    "batchtopk, nothing expected": TopOfBatch(K),
    "batchtopk, expected low": TopOfBatch(K, 3.0),
    "batchtopk, expected too high": TopOfBatch(K, 30.0),
    "batchtopk, weighted": TopOfBatch(K, 1.0, torch.linspace(0.5, 2, LATENTS)),
    "relu": PositivePart(),
}


@pytest.mark.parametrize("name", CHOICES)
def test_values_and_gradients_equal_the_dense_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CHUNK_ELEMENTS", 64 * LATENTS)  # several pieces, the last one smaller
    x, choice = data(), CHOICES[name]
    W_enc, b_enc, W_dec, b_dec = weights()
    code = kernels.encode(x, W_enc, b_enc, choice, b_in=b_dec)
    assert (code.values > 0).all()
    found = kernels.decode(code, W_dec) + b_dec
    (found - x).square().sum().backward()
    gradients = [one.grad for one in (W_enc, b_enc, W_dec, b_dec)]

    again = weights()
    with torch.no_grad():
        mask = mask_of(choice, (x - again[3]) @ again[0].T + again[1])
    wanted = dense(x, *again, mask)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()  # sums of thousands, in another order
    (wanted - x).square().sum().backward()
    for gradient, one in zip(gradients, again, strict=True):
        assert gradient is not None
        assert one.grad is not None
        assert (gradient - one.grad).abs().max() <= 1e-5 * one.grad.abs().max()


def test_bfloat16_chooses_almost_the_same_and_computes_in_float32() -> None:
    x = data()
    W_enc, b_enc, _, _ = weights()
    code = kernels.encode(x, W_enc, b_enc, TopOfTokens(K), bfloat16=True)
    pre = x @ W_enc.T + b_enc
    torch.testing.assert_close(code.values, pre[code.tokens, code.indices])
    best = pre.topk(K).values.sum()
    assert 0.999 * best < code.values.sum() <= best * (1 + 1e-6)


def test_top_of_rows_with_ties_and_odd_widths() -> None:
    ties = torch.randint(0, 5, (50, LATENTS), generator=torch.Generator().manual_seed(2)).float()
    for values in (ties, ties[:, :509], torch.zeros(3, LATENTS)):
        found, indices = kernels.top_of_rows(values, 7)
        assert torch.equal(found.sort(1).values, values.topk(7).values.sort(1).values)
        assert torch.equal(values.gather(1, indices), found)
        assert all(len({*row}) == 7 for row in indices.tolist())
