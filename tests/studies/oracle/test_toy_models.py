"""Toy models trained side by side: their gradients, what each becomes, and what is known of them exactly."""

import pytest
import torch

from mindscope.studies.common import (
    ToyModels,
    ToyTraining,
    feature_dimensionality,
    patterned_uniform,
    sparse_uniform,
    train_models,
)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_autograd(linear, weighted):
    models = ToyModels.draw(3, 2, 5, linear=linear)
    models.b.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
    x = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(2))
    importance = torch.rand(3, 5, generator=torch.Generator().manual_seed(3))
    weights = torch.rand(3, 7, generator=torch.Generator().manual_seed(4)) if weighted else None
    W, b = models.W.double().requires_grad_(), models.b.double().requires_grad_()
    out = torch.einsum("kmi,kmj,kjs->kis", W, W, x.double()) + b[:, :, None]
    error = ((out if linear else out.relu()) - x).square() * importance[:, :, None]
    loss = error.sum(1).mean(1) if weights is None else (error.sum(1) * weights).sum(1)
    loss.sum().backward()
    ours = models.gradients(x, importance, weights)
    torch.testing.assert_close(ours.loss, loss.detach().float())
    torch.testing.assert_close(ours.W, W.grad.float(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.b, b.grad.float(), atol=1e-6, rtol=1e-5)


def test_a_stack_becomes_what_its_models_become_alone():
    density = torch.tensor([[0.5, 0.1], [0.5, 0.1]])
    sample = sparse_uniform(density, 5, 64, seed=3)
    training = ToyTraining(steps=60, samples=64, learning_rate=1e-2, warmup=5, cosine=True)
    stack = ToyModels.draw(4, 2, 5)
    start = stack.W.clone()
    importance = 0.9 ** torch.arange(5.0)[None]
    train_models(stack, sample, importance, training)
    for number in range(4):
        W, b = (torch.nn.Parameter(part) for part in (start[number].clone(), torch.zeros(5)))
        optimiser = torch.optim.AdamW([W, b], weight_decay=training.weight_decay)
        for step in range(training.steps):
            x = sample(step)[number].T
            loss = ((torch.relu(x @ W.T @ W + b) - x).square() * importance).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.param_groups[0]["lr"] = training.rate(step)
            optimiser.step()
        torch.testing.assert_close(stack.W[number], W.detach(), atol=1e-4, rtol=1e-4)


def test_a_model_does_not_feel_its_neighbours():
    sample = sparse_uniform(torch.tensor([[0.2], [0.2]]), 5, 32, seed=1)
    training = ToyTraining(steps=20, samples=32)
    both, alone = ToyModels.draw(2, 2, 5), ToyModels.draw(2, 2, 5).take(torch.tensor([1]))
    train_models(both, sample, torch.ones(1, 5), training)
    train_models(alone, lambda step: sample(step)[1:], torch.ones(1, 5), training)
    torch.testing.assert_close(both.W[1:], alone.W)


def test_samples_have_the_density_and_the_uniform_values_that_are_asked_for():
    density = torch.tensor([[1.0, 0.25, 0.02]])
    x = sparse_uniform(density, 8, 50_000, seed=0)(0)
    active = x > 0
    torch.testing.assert_close(active.float().mean((1, 2)), density[0], atol=2e-3, rtol=0.02)
    for row, on in zip(x, active, strict=True):
        values = row[on]
        assert values.mean() == pytest.approx(0.5, abs=0.01)
        assert values.square().mean() == pytest.approx(1 / 3, abs=0.01)
    signed = sparse_uniform(density, 8, 50_000, seed=0, signed=True)(0)
    assert torch.equal(signed.abs() > 0, active) or (signed.ne(0) == active).float().mean() > 0.9999
    assert signed[0].mean() == pytest.approx(0.0, abs=0.01)
    assert signed[0].square().mean() == pytest.approx(1 / 3, abs=0.01)


def test_draws_are_independent_and_variants_share_their_numbers():
    x = sparse_uniform(torch.full((2, 2), 0.5), 4, 1000, seed=0)(0)
    assert torch.equal(x[0], x[1])
    assert torch.corrcoef(torch.stack([x[0].flatten(), x[2].flatten()]))[0, 1].abs() < 0.05


def test_patterns_have_the_expected_loss_of_drawn_samples():
    models = ToyModels.draw(2, 2, 3, seed=5)
    density, importance = torch.tensor([[0.3, 0.6]]), torch.tensor([[1.0, 0.5, 2.0]])
    drawn = models.losses(sparse_uniform(density, 3, 400_000, seed=1)(0), importance)
    sample, weights = patterned_uniform(density, 3, 50_000, seed=2)
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    torch.testing.assert_close(models.losses(sample(0), importance, weights), drawn, rtol=0.01, atol=0)


def test_dimensionalities_of_known_polytopes():
    def vertices(count: int) -> torch.Tensor:
        angles = 2 * torch.pi * torch.arange(count) / count
        return torch.stack([angles.cos(), angles.sin()])

    for count, share in ((2, 1 / 2), (3, 2 / 3), (5, 2 / 5)):
        torch.testing.assert_close(
            feature_dimensionality(vertices(count)[None]), torch.full((1, count), share), atol=1e-5, rtol=0
        )
    tetrahedron = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    torch.testing.assert_close(feature_dimensionality(tetrahedron[None]), torch.full((1, 4), 3 / 4))
    own = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    assert feature_dimensionality(own).tolist() == [[1.0, 1.0, 0.0]]  # the third is not represented
