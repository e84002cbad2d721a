"""Sparse encoding and decoding against dense autograd."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mindscope.dictionaries import DictionaryConfig, DictionaryTrainer, Site
from mindscope.dictionaries.training import kernels, learner
from mindscope.dictionaries.training.kernels import (
    Choice,
    PositivePart,
    TopOfBatch,
    TopOfTokens,
    choices,
    sparse_products,
)
from mindscope.features import host_waits

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
    monkeypatch.setattr(
        sparse_products, "CHUNK_ELEMENTS", 64 * LATENTS
    )  # several pieces, the last one smaller
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


def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done where a device works beside the host, here on the CPU."""
    monkeypatch.setattr(sparse_products, "is_apart", lambda tensor: True)
    monkeypatch.setattr(host_waits, "is_apart", lambda tensor: True)


ON_A_DEVICE = {
    "as expected": (TopOfBatch(K, 20.0), 0),
    "expected low": (TopOfBatch(K, 13.0), 0),
    "so low that there is no room": (TopOfBatch(K, 2.0), 0),
    "expected too high": (TopOfBatch(K, 30.0), 0),
    "nothing expected": (TopOfBatch(K), 0),
    "weighted": (TopOfBatch(K, 20.0, torch.linspace(0.5, 2, LATENTS)), 0),
    "scores that are equal": (TopOfBatch(K, 20.0), 1),
    "topk, few positive": (TopOfTokens(300), 0),
}


@pytest.mark.parametrize("name", ON_A_DEVICE)
def test_what_waits_once_chooses_the_same_in_the_same_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_products, "CHUNK_ELEMENTS", 64 * LATENTS)
    x, (choice, decimals) = data(), ON_A_DEVICE[name]
    W_enc, b_enc, _, b_dec = weights()
    if decimals:  # a tenth of a unit: thousands of scores are equal
        x, W_enc, b_enc, b_dec = ((tensor * 2).round() / 2 for tensor in (x, W_enc, b_enc, b_dec))
    with torch.no_grad():
        wanted = kernels.encode(x, W_enc, b_enc, choice, b_in=b_dec)
        as_on_a_device(monkeypatch)
        code = kernels.encode(x, W_enc, b_enc, choice, b_in=b_dec)
    for part in ("indices", "values", "offsets"):
        assert torch.equal(getattr(code, part), getattr(wanted, part)), part


class HostWaits(TorchDispatchMode):
    """Lists the operations for whose result the host would wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = args[1] if name in ("index", "index_put_") else ()
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal") or any(
            mask is not None and mask.dtype == torch.bool for mask in masks
        ):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def trained(steps: int, seen: list[list[str]] | None = None) -> DictionaryTrainer:
    config = DictionaryConfig(
        name="x", kind="sae", reads=("a",), n_latents=LATENTS, k=K, method="batchtopk", dead_tokens=2 * TOKENS
    )
    trainer = DictionaryTrainer(config, [Site("a", D)], [Site("a", D)], steps=100)
    draw = torch.Generator().manual_seed(2)
    mixing = torch.randn(D, D, generator=draw)
    batches = [torch.randn(TOKENS, D, generator=draw) @ mixing for _ in range(steps)]
    trainer.begin(batches[0], batches[0])
    for x in batches:
        with HostWaits() as waits:
            trainer.step(x)
        if seen is not None:
            seen.append(waits.names)
    return trainer


def test_a_step_that_waits_once_and_at_its_end_makes_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = trained(12).tensors()
    as_on_a_device(monkeypatch)
    read: list[int] = []
    plain = host_waits.read_numbers

    def counted(*tensors: Any) -> Any:
        read.append(len(tensors))
        return plain(*tensors)

    monkeypatch.setattr(choices, "read_numbers", counted)
    monkeypatch.setattr(learner, "read_numbers", counted)
    seen: list[list[str]] = []
    trainer = trained(12, seen)
    assert any(trainer._n_dead or ())  # dead latents were revived on the way
    tensors = trainer.tensors()
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    # Of the first batch nothing is expected, and of few others too much: these are chosen in the other way.
    assert sum(not names for names in seen) >= 9
    assert len(read) == 2 * 12
