"""Resampling of dead latents: what is drawn, what it becomes, and that it lives."""

import pytest
import torch
from dictionary_kit import KINDS, LATENTS, TOKENS, AtomSource, activations, data, parts, weights, written
from torch.nn.functional import normalize

from mindscope.dictionaries import DictionaryConfig
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.objective import LossState, compute_loss
from mindscope.dictionaries.training.resampling import resample, token_losses

DEAD = 6


@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_tokens(kind: str) -> None:
    found, (x, y) = weights(kind, "relu"), data(kind)
    losses = token_losses(found, x, y, 1.5)
    errors = (written(found, activations(found, x), x) - y).square().sum(1)
    assert (losses > errors).all()
    dead = [torch.zeros(LATENTS, dtype=torch.bool)] * len(found.wiring)
    whole = compute_loss(
        found, x, y, LossState(0.3, 1.0, [], dead, 1.0, False)
    ).terms  # 0.3 of relu's 5 is 1.5
    assert losses.mean().item() == pytest.approx(sum(term.item() for term in whole.values()), rel=1e-5)


def stepped(kind: str):
    """Weights and an Adam that knows something of each."""
    found, (x, y) = weights(kind, "relu"), data(kind)
    optimizer = torch.optim.Adam(found.parameters(), lr=1e-3)
    terms = compute_loss(found, x, y, LossState(0.3, 1.0, [], [], 1.0, False)).terms
    torch.stack([*terms.values()]).sum().backward()
    optimizer.step()
    return found, optimizer


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_latent_becomes_a_token(kind: str) -> None:
    found, optimizer = stepped(kind)
    (x, y), before = data(kind), [parts(found, i) for i in range(len(found.wiring))]
    before = [{name: value.clone() for name, value in one.items()} for one in before]
    dead = torch.arange(LATENTS) < DEAD
    chosen = 5
    losses = torch.zeros(TOKENS)
    losses[chosen] = 2.0
    count = resample(found, optimizer, [dead] * len(found.wiring), x, y, losses, 0)
    assert count == DEAD * len(found.wiring)
    for old, coder in zip(before, found.coders(), strict=True):
        b_dec = found.b_dec.detach()[coder.outputs]
        target = y[chosen, coder.outputs] - b_dec
        read = target if found.tied else x[chosen, coder.inputs]
        for row in range(DEAD):
            norm = 0.2 * old["W_enc"][DEAD:].norm(dim=1).mean()
            torch.testing.assert_close(coder.W_enc[row].detach(), norm * normalize(read, dim=0))
            norm = old["W_dec"][DEAD:].norm(dim=1).mean()
            torch.testing.assert_close(coder.W_dec[row].detach(), norm * normalize(target, dim=0))
            # A bias of 0 where the input is x - b_dec.
            offset = coder.W_enc[row] @ b_dec if found.tied else torch.zeros(())
            torch.testing.assert_close(coder.b_enc[row] + offset, torch.zeros(()), atol=1e-5, rtol=0)
        for name in ("W_enc", "b_enc", "W_dec"):
            torch.testing.assert_close(getattr(coder, name)[DEAD:].detach(), old[name][DEAD:], rtol=0, atol=0)
            state = optimizer.state[getattr(coder, name)]
            for moment in ("exp_avg", "exp_avg_sq"):
                assert not state[moment][:DEAD].any()
                assert state[moment][DEAD:].any()


def test_tokens_are_drawn_by_their_squared_loss() -> None:
    found, optimizer = stepped("sae")
    x, y = data("sae")
    losses = torch.zeros(TOKENS)
    losses[:3] = torch.tensor([1.0, 2.0, 3.0])
    tokens, counts, draws = normalize(y[:3] - found.b_dec.detach()), torch.zeros(3), 200
    dead = torch.arange(LATENTS) < LATENTS - 2
    for seed in range(draws):
        resample(found, optimizer, [dead], x, y, losses, seed)
        cosines = normalize(parts(found, 0)["W_dec"][:-2]) @ tokens.T
        assert (cosines.max(1).values > 0.999).all()
        counts += torch.bincount(cosines.argmax(1), minlength=3)
    shares, wanted = counts / counts.sum(), torch.tensor([1.0, 4.0, 9.0]) / 14
    assert (shares - wanted).abs().max() < 5 * (0.25 / counts.sum()) ** 0.5


def test_where_nothing_lives_nothing_is_drawn() -> None:
    found, optimizer = stepped("sae")
    old = parts(found, 0)["W_enc"].clone()
    assert (
        resample(
            found, optimizer, [torch.ones(LATENTS, dtype=torch.bool)], *data("sae"), torch.ones(TOKENS), 0
        )
        == 0
    )
    assert torch.equal(parts(found, 0)["W_enc"], old)


def test_dead_latents_come_back() -> None:
    """Half the latents of an SAE are killed; drawn anew, they find the atoms that the others leave out."""
    source, batch, steps = AtomSource(), 512, 400
    width = source.sites[0].width
    left, alive = [], []
    for again in (False, True):
        config = DictionaryConfig(
            name="x", reads=("here",), n_latents=96, method="relu", sparsity=0.2, learning_rate=5e-3,
            dead_tokens=40 * batch,
        )  # fmt: skip
        learner = DictionaryTrainer(config, [source.sites[0]], [source.sites[0]], steps=steps)

        def tokens(seed: int) -> torch.Tensor:
            return source.tokens(batch, seed)[1][:, :width]

        learner.begin(tokens(0), tokens(0))
        with torch.no_grad():
            next(learner.weights.coders()).b_enc[:64] = -100.0
        for step in range(steps):
            x = tokens(step)
            result = learner.step(x)
            if again and step == 100:
                assert learner.resample(torch.cat([tokens(1000 + i) for i in range(8)])) >= 64
                assert all(int(silent.max()) < 40 * batch for silent in learner.silent)
        alive.append(int((result.active[0][:64] > 0).sum()))
        left.append(float(result.residual.square().sum()))
    assert alive[0] == 0
    assert alive[1] >= 32
    assert left[1] < 0.5 * left[0]
