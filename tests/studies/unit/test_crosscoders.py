"""The study of crosscoders, of layers: its pools, losses, lives of latents and banks."""

import pytest
import torch
from crosscoder_kit import WIDTH, crosscoder, draw, pool_of
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.sites import Wiring
from mindscope.models import Raw, Read, load
from mindscope.organism import corpus_rows
from mindscope.studies.common import TokenPool, layer_norms, read_pool, score_coders, train_coder
from mindscope.studies.crosscoders import CrosscodersConfig
from mindscope.studies.crosscoders.depth import depth_of_rows
from mindscope.studies.crosscoders.recovery import CoderBank

TOKENS = 400


@pytest.fixture
def pool() -> TokenPool:
    x = draw(TOKENS, 2 * WIDTH) * torch.cat([torch.full((WIDTH,), 3.0), torch.full((WIDTH,), 0.5)])
    return pool_of(x[:300], x[300:])


# Pools


def test_each_site_has_a_mean_norm_of_the_square_root_of_its_width(pool):
    parts = (pool.train * pool.scales()).split(WIDTH, dim=1)
    for part in parts:
        assert part.norm(dim=1).mean() == pytest.approx(WIDTH**0.5, rel=1e-5)


def test_shuffling_keeps_every_site_and_breaks_what_they_share(pool):
    mixed = pool.shuffled(0)
    for before, after in zip(pool.train.split(WIDTH, 1), mixed.train.split(WIDTH, 1), strict=True):
        assert torch.equal(before.sort(0).values, after.sort(0).values)
        assert not torch.equal(before, after)
    rows = {tuple(row) for row in pool.train.tolist()}
    assert sum(tuple(row) in rows for row in mixed.train.tolist()) < 10
    assert torch.equal(mixed.train, pool.shuffled(0).train)


def test_columns_are_those_of_their_site(pool):
    second = pool.columns([1])
    assert torch.equal(second.held, pool.held[:, WIDTH:])
    assert second.sites == pool.sites[1:]


def test_activations_stand_beside_their_tokens():
    model = load("organism", dtype="float32")
    config = CrosscodersConfig(tokens=300, held_tokens=120)
    own = read_pool(
        {"0": model}, ("resid_post.1",), lambda number: next(corpus_rows(model, number, 5)), config
    )
    rows, count = [], 0
    while count < 420:
        rows.append(next(corpus_rows(model, len(rows), 5)))
        count += len(rows[-1])
    values = model.read(rows, {"x": Read("resid_post.1", Raw("all"))})["x"].values
    ids = torch.tensor([token for row in rows for token in row.ids])[:420]
    every = torch.cat(list(values))[:420]
    assert len(own.train) + len(own.held) == 420  # this model has no outliers
    torch.testing.assert_close(torch.cat([own.train, own.held]), every, atol=1e-4, rtol=1e-4)
    assert torch.equal(own.ids, ids[-len(own.ids) :])


# Losses and lives


def test_a_crosscoder_made_of_saes_scores_as_they_do(pool):
    """Side by side, each latent of its layer alone, they are one crosscoder: both losses are comparable."""
    layers = [pool.columns([n]) for n in range(2)]
    saes = [crosscoder(draw(6, WIDTH, seed=n), draw(6, WIDTH, seed=9 + n), layers[n]) for n in range(2)]
    blank = torch.zeros(6, WIDTH)

    def side_by_side(name: str) -> torch.Tensor:
        first, second = (getattr(sae.coder, name) for sae in saes)
        return torch.cat([torch.cat([first, blank], 1), torch.cat([blank, second], 1)])

    joined = crosscoder(side_by_side("W_enc"), side_by_side("W_dec"), pool)
    one, several = score_coders([joined], [pool], 2.0), score_coders(saes, layers, 2.0)
    for field in ("loss", "error", "active", "alive", "latents"):
        assert getattr(one, field) == pytest.approx(getattr(several, field), rel=1e-4), field
    assert one.explained == pytest.approx(several.explained, abs=1e-4)


def test_the_loss_is_that_of_the_formula(pool):
    coder = crosscoder(draw(5, 2 * WIDTH), draw(5, 2 * WIDTH, seed=1), pool)
    f = (pool.held @ coder.coder.W_enc.T).relu()
    error = penalty = 0.0
    for site, scale in enumerate(pool.scales()[[0, WIDTH]]):
        place = slice(site * WIDTH, (site + 1) * WIDTH)
        rows = coder.coder.W_dec[:, place]
        error += float(scale**2 * (pool.held[:, place] - f @ rows).square().sum(1).mean())
        penalty += float((f * (scale * rows.norm(dim=1))).sum(1).mean())
    scores = score_coders([coder], [pool], 3.0)
    assert scores.error == pytest.approx(error, rel=1e-4)
    assert scores.loss == pytest.approx(error + 3 * penalty, rel=1e-4)
    assert scores.active == pytest.approx(float((f > 0).float().sum(1).mean()), abs=1e-3)


def test_norms_of_a_weakly_causal_crosscoder_are_zero_in_earlier_layers(pool):
    coder = Dictionary(
        pool.sites,
        pool.sites,
        (Wiring((0,), (0, 1), 3), Wiring((1,), (1,), 2)),
        (
            Coder(draw(3, WIDTH), torch.zeros(3), draw(3, 2 * WIDTH)),
            Coder(draw(2, WIDTH), torch.zeros(2), draw(2, WIDTH)),
        ),
        torch.zeros(2 * WIDTH),
        "relu",
        models=pool.models,
    )
    norms = layer_norms(coder, pool)
    assert (norms > 0).tolist() == [[True, True]] * 3 + [[False, True]] * 2


def test_lives_of_latents_by_hand():
    e = torch.eye(4)
    zero = torch.zeros(4)
    rows = torch.stack(
        [
            torch.stack([2 * e[0], zero, zero]),  # of one layer
            torch.stack([e[0], 2 * e[0], e[0]]),  # steady through all three
            torch.stack([zero, 2 * e[0], 2 * (0.6 * e[0] + 0.8 * e[1]) * 0.9]),  # turns by a cosine of 0.6
            torch.stack([0.1 * e[0], e[0], zero]),  # hardly in the first
        ]
    )
    depth = depth_of_rows(rows)
    assert depth.single == pytest.approx(0.5)  # the first, and the last with 1 / 1.1
    assert depth.spanning == pytest.approx(0.5)
    assert depth.cosine == pytest.approx((1.0 + 0.6) / 2)
    assert depth.peaks == pytest.approx((0.25, 0.75, 0.0))
    assert depth.lives[0] == (1.0, 0.0, 0.0)
    assert depth.lives[1] == pytest.approx(((0.5 + 0 + 0.1) / 3, 1.0, (0.5 + 0.9 + 0) / 3), abs=1e-4)
    assert depth.lives[2] == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="no latent"):
        depth_of_rows(rows[:0])


def test_training_finds_what_layers_share_and_nothing_where_they_are_shuffled():
    atoms = normalize(draw(2, 6, WIDTH), dim=2)
    on = torch.rand(3000, 6, generator=torch.Generator().manual_seed(1)) < 0.1
    x = torch.cat([(on * (1 + draw(3000, 6, seed=2).abs())) @ layer for layer in atoms], dim=1)
    pool = pool_of(x[:2500], x[2500:])
    config = CrosscodersConfig(steps=300, batch_tokens=128, learning_rate=1e-2, sparsity=1.0)
    shares = []
    for own in (pool, pool.shuffled(0)):
        coder = train_coder(own, config, 0, latents=12, method="relu")
        alive = torch.bincount(coder.encode(own.held).indices, minlength=12) > 0
        norms = layer_norms(coder, own)[alive]
        shares.append(float((norms.amax(1) / norms.sum(1) >= 0.9).float().mean()))
    assert shares[0] < 0.1
    assert shares[1] > 0.6


# Concepts


def test_a_bank_of_coders_is_each_of_them(pool):
    layers = [pool.columns([n]) for n in range(2)]
    saes = [crosscoder(draw(6, WIDTH, seed=n), draw(6, WIDTH, seed=9 + n), layers[n]) for n in (1, 0)]
    whole = crosscoder(draw(4, 2 * WIDTH), draw(4, 2 * WIDTH), pool)
    bank = CoderBank((whole, *saes), pool.sites, {"0": "f"})
    code = bank.encode(pool.held).dense()
    assert code.shape == (len(pool.held), bank.n_features)
    assert torch.equal(code[:, :4], whole.encode(pool.held).dense())
    assert torch.equal(code[:, 4:10], saes[0].encode(pool.held[:, WIDTH:]).dense())
    assert torch.equal(code[:, 10:], saes[1].encode(pool.held[:, :WIDTH]).dense())
    assert torch.equal(bank.values(pool.held, [11, 2]), code[:, [11, 2]])
    rows = bank.decoder_rows([3, 5, 12])
    first, second = (rows[site] for site in pool.sites)
    assert torch.equal(first[0], whole.coder.W_dec[3, :WIDTH])
    assert not first[1].any()  # the first SAE is of the second site
    assert torch.equal(second[1], saes[0].coder.W_dec[1])
    assert torch.equal(first[2], saes[1].coder.W_dec[2])
