"""Designated shared latents and the delta loss of a crosscoder, against a parameter that is really shared."""

import pytest
import torch
from pydantic import ValidationError

from mindscope.dictionaries import DictionaryConfig, Site
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.weights import TrainableWeights
from mindscope.errors import DataError

WIDTH, LATENTS = 6, 10
SITES = [Site("resid_post.0", WIDTH, "base"), Site("resid_post.0", WIDTH, "tuned")]


def config(**changes) -> DictionaryConfig:
    given = {"name": "d", "kind": "crosscoder", "reads": ("0:a", "1:a"), "n_latents": LATENTS, "k": 3}
    return DictionaryConfig.model_validate(given | changes)


def trained(steps: int = 5, **changes) -> DictionaryTrainer:
    trainer = DictionaryTrainer(config(**changes), SITES, SITES, steps=steps)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2 * WIDTH, generator=draw)
    trainer.begin(x, x)
    for _ in range(steps):
        trainer.step(torch.randn(64, 2 * WIDTH, generator=draw))
    return trainer


@pytest.mark.parametrize("method", ["relu", "batchtopk", "topk", "jumprelu"])
def test_shared_rows_stay_alike_and_the_others_do_not(method):
    coder = next(trained(method=method, shared_latents=0.4).weights.coders())
    rows = coder.W_dec.detach().unflatten(1, (2, WIDTH))
    assert torch.equal(rows[:4, 0], rows[:4, 1])
    assert not torch.allclose(rows[4:, 0], rows[4:, 1])


def test_their_gradient_is_that_of_one_parameter():
    trainer = DictionaryTrainer(config(method="relu", shared_latents=0.4), SITES, SITES, steps=9)
    x = torch.randn(32, 2 * WIDTH, generator=torch.Generator().manual_seed(1))
    trainer.begin(x, x)
    weights, state = trainer.weights, trainer._state()
    (coder,) = weights.coders()
    own = coder.W_dec.detach().unflatten(1, (2, WIDTH))[:4, 0].clone().requires_grad_()
    rest = coder.W_dec.detach()[4:]
    whole = torch.cat([torch.cat([own, own], dim=1), rest])
    y = trainer.scaling.inputs(x)
    z = (y @ coder.W_enc.T + coder.b_enc).relu()
    norms = whole[:, :WIDTH].norm(dim=1) + whole[:, WIDTH:].norm(dim=1)
    factors = torch.tensor([weights.config.shared_penalty] * 4 + [1.0] * 6)
    loss = (z @ whole + weights.b_dec - y).square().sum() / len(y)
    loss = loss + 5.0 * state.ramp * (z.sum(0) @ (norms * factors)) / len(y)
    expected = torch.autograd.grad(loss, own)[0]

    from mindscope.dictionaries.training.objective import compute_loss

    torch.stack([*compute_loss(weights, y, y, state).terms.values()]).sum().backward()
    weights.tie_shared()
    gradient = coder.W_dec.grad.unflatten(1, (2, WIDTH))[:4]
    torch.testing.assert_close(gradient[:, 0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(gradient[:, 0], gradient[:, 1])


@pytest.mark.parametrize("method", ["relu", "batchtopk"])
def test_the_delta_loss_is_the_error_of_the_difference(method):
    from mindscope.dictionaries.training.objective import compute_loss

    trainer = trained(method=method, delta=0.7)
    x = torch.randn(32, 2 * WIDTH, generator=torch.Generator().manual_seed(2))
    y = trainer.scaling.targets(x)
    result = compute_loss(trainer.weights, trainer.scaling.inputs(x), y, trainer._state())
    written = y - result.residual
    gap = (y[:, WIDTH:] - y[:, :WIDTH]) - (written[:, WIDTH:] - written[:, :WIDTH])
    variance = trainer.variance if method == "batchtopk" else 1.0
    expected = 0.7 * gap.square().sum() / 32 / variance
    torch.testing.assert_close(result.terms["delta"], expected, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValidationError, match="sites of a crosscoder"):
        DictionaryConfig(name="d", reads=("a",), n_latents=4, delta=1.0)
    unlike = [Site("a", 4, "base"), Site("a", 6, "tuned")]
    with pytest.raises(DataError, match="one width"):
        TrainableWeights(config(shared_latents=0.5), unlike, unlike)
    one_model = [Site("a", 4), Site("b", 4)]
    with pytest.raises(DataError, match="two models"):
        TrainableWeights(config(delta=1.0), one_model, one_model)
