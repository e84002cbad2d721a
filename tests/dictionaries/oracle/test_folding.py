"""A finished dictionary does to activations as they are what the trained weights do to normalised ones."""

import pytest
import torch
from dictionary_kit import KINDS, METHODS, TOKENS, D, activations, data, parts, weights, written

from mindscope.dictionaries.training.scaling import ActivationScaling, fold_scaling


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_folded_equals_trained(kind: str, method: str) -> None:
    trained = weights(kind, method, **({"skip": True} if kind == "transcoder" else {}))
    x, y = data(kind)
    x, y = 30 * x + 5, 0.2 * y - 1
    if kind in ("sae", "crosscoder"):
        y = x = torch.cat([x[:, :D], 7 * x[:, D:]], dim=1)
    scaling = ActivationScaling.measured(x, y, trained)
    inside = scaling.inputs(x)
    acts = activations(trained, inside)
    thresholds = [0.0] * len(acts)
    if trained.config.activation == "batchtopk":  # a bit below the smallest chosen score, in this batch
        for index, one in enumerate(acts):
            norms = trained.norms(parts(trained, index)["W_dec"], index) if kind == "crosscoder" else 1.0
            scores = one * norms
            thresholds[index] = float(scores[scores > 0].min()) * (1 - 1e-4)
    finished = fold_scaling(trained, scaling, thresholds, {})
    wanted = written(trained, acts, inside) / scaling.write
    torch.testing.assert_close(finished(x), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    code = finished.encode(x).dense()
    assert torch.equal(code > 0, torch.cat(acts, dim=1) > 0)
    if kind == "sae":
        assert finished.coder.W_dec.norm(dim=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_site_is_scaled_to_the_square_root_of_its_width(kind: str) -> None:
    x, y = data(kind)
    for method in ("topk", "relu"):
        trained = weights(kind, method)
        scaling = ActivationScaling.measured(9 * x, y / 5, trained)
        inside, outside = scaling.inputs(9 * x), scaling.targets(y / 5)
        for part in (*inside.split(D, dim=1), *outside.split(D, dim=1)):
            assert part.norm(dim=1).mean() == pytest.approx(D**0.5, rel=1e-4)
        if method == "topk" and kind != "sae":
            assert inside.mean(0).abs().max() < 1e-5
    assert len(x) == TOKENS
