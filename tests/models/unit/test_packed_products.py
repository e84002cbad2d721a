"""Products with packed weights are those of the layer, follow its weights, and leave nothing on it."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mindscope.models.generation.slots import cut_spans
from mindscope.models.hooks.packed_products import PackedProducts

ROUNDED = {"rtol": 1e-5, "atol": 1e-4}
"""How far float32 products of 160 terms may lie apart that are summed in another order; stale weights give
products that differ by tenths and more."""


@pytest.fixture(autouse=True, params=["AVX2", "AVX512"])
def capability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """On either kind of processor, whatever this one is."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


def layer_of(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A weight that is packed everywhere, and one that is packed nowhere."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(160, 3300), nn.Linear(3300, 2)).to(dtype).eval()


def products(model: nn.Sequential, packed: PackedProducts, hidden: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(), packed.used():
        return model[0](hidden)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0,), (1,), (9,), (3, 1), (2, 150), (1100,)])
def test_as_in_float64(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    model = layer_of(dtype)
    hidden = torch.randn(*shape, 160, generator=torch.Generator().manual_seed(1)).to(dtype)
    product = products(model, PackedProducts(model), hidden)
    weight, bias = model[0].weight.double(), model[0].bias.double()
    expected = hidden.double() @ weight.T + bias
    assert product.dtype == dtype
    assert product.shape == expected.shape
    torch.testing.assert_close(product.double(), expected, rtol=1e-2 if dtype.itemsize == 2 else 0, atol=1e-5)


def test_a_row_does_not_depend_on_how_many_there_are() -> None:
    model = layer_of()
    packed, hidden = PackedProducts(model), torch.randn(700, 160)
    whole = products(model, packed, hidden)
    torch.testing.assert_close(products(model, packed, hidden[:5]), whole[:5], rtol=0, atol=1e-5)


def test_one_row_and_small_weights_are_packed_where_that_pays(capability: str) -> None:
    model = nn.Sequential(nn.Linear(160, 3300), nn.Linear(160, 300)).eval()
    packed, hidden = PackedProducts(model), torch.randn(1, 160)
    with torch.inference_mode(), packed.used():
        of_large, of_small = (model[number](hidden) for number in (0, 1))
    assert set(packed._packed) == ({model[0]} if capability == "AVX2" else {model[0], model[1]})
    plain = [torch.nn.functional.linear(hidden, layer.weight, layer.bias) for layer in model]
    torch.testing.assert_close(of_small, plain[1], **ROUNDED)
    torch.testing.assert_close(of_large, plain[0], **ROUNDED)
    if capability == "AVX2":
        assert torch.equal(of_large, plain[0])


def test_changed_weights_are_packed_anew() -> None:
    model = layer_of()
    packed, hidden = PackedProducts(model), torch.randn(4, 160)
    products(model, packed, hidden)
    with torch.no_grad():  # as an optimiser does
        model[0].weight.mul_(2)
    torch.testing.assert_close(products(model, packed, hidden), model[0](hidden), **ROUNDED)
    model[0].weight.data.mul_(3)  # which nothing counts
    packed.refresh()
    torch.testing.assert_close(products(model, packed, hidden), model[0](hidden), **ROUNDED)
    model[0].weight = nn.Parameter(torch.randn(3300, 160))
    torch.testing.assert_close(products(model, packed, hidden), model[0](hidden), **ROUNDED)


def test_nothing_stays_on_a_layer() -> None:
    model = layer_of()
    packed, hidden = PackedProducts(model), torch.randn(4, 160)

    def fail() -> None:
        with torch.inference_mode(), packed.used():
            model[0](hidden)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert not any("forward" in layer.__dict__ for layer in model)
    with packed.used():  # gradients are asked for
        model[0](hidden).sum().backward()
    assert model[0].weight.grad is not None
    model[0].__dict__["forward"] = lambda rows: rows + 1  # somebody else's, as of accelerate
    assert torch.equal(products(model, packed, hidden), hidden + 1)
    assert "forward" in model[0].__dict__


def test_spans_are_cut_for_least_work() -> None:
    lengths, cost = np.array([90, 12, 80, 85, 10, 0, 11, 70]), 30

    def work(cuts: tuple[int, ...]) -> int:
        ends = (*cuts[1:], len(lengths))
        return sum(
            cost + (end - first) * lengths[first:end].max() for first, end in zip(cuts, ends, strict=True)
        )

    inner = range(1, len(lengths))
    ways = [(0, *cuts) for n in range(len(lengths)) for cuts in itertools.combinations(inner, n)]
    assert work(tuple(cut_spans(lengths, cost))) == min(map(work, ways))
    assert len(cut_spans(lengths, cost)) > 2
