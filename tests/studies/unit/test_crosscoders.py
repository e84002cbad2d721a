"""The study of crosscoders: its measures against closed forms, its controls, its verdicts."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.coder import Coder
from mindscope.dictionaries.sites import Wiring
from mindscope.features import Site, SparseCode
from mindscope.models import Raw, Read, load
from mindscope.organism import corpus_rows
from mindscope.studies.crosscoders import CrosscodersConfig, CrosscodersStudy
from mindscope.studies.crosscoders import config as names
from mindscope.studies.crosscoders.claims import list_claims
from mindscope.studies.crosscoders.depth import depth_of_rows, layer_norms, score_coders
from mindscope.studies.crosscoders.exclusive import (
    correlations,
    match_density,
    measure_mirror,
    score_pair,
    token_bits,
)
from mindscope.studies.crosscoders.pairs import use_twice
from mindscope.studies.crosscoders.recovery import CoderBank
from mindscope.studies.crosscoders.results import (
    CoderScores,
    ConceptScores,
    DepthScores,
    LayerCoder,
    LayerSeed,
    PairScores,
    PairSeed,
)
from mindscope.studies.crosscoders.training import TokenPool, read_pool, train_coder

WIDTH, TOKENS = 8, 400


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pool_of(train: torch.Tensor, held: torch.Tensor, models: tuple[str, ...] = ("0", "0")) -> TokenPool:
    sites = tuple(Site(f"resid_post.{n}", WIDTH, model) for n, model in enumerate(models))
    ids = torch.arange(len(held)) % 16
    return TokenPool(train, held, sites, tuple(site.name for site in sites), dict.fromkeys(models, "f"), ids)


@pytest.fixture
def pool() -> TokenPool:
    x = draw(TOKENS, 2 * WIDTH) * torch.cat([torch.full((WIDTH,), 3.0), torch.full((WIDTH,), 0.5)])
    return pool_of(x[:300], x[300:])


def crosscoder(W_enc: torch.Tensor, W_dec: torch.Tensor, pool: TokenPool, b_enc=None) -> Dictionary:
    bias = torch.zeros(len(W_enc)) if b_enc is None else b_enc
    return Dictionary.single(
        Coder(W_enc, bias, W_dec),
        torch.zeros(W_dec.shape[1]),
        reads=pool.sites,
        writes=pool.sites,
        activation="relu",
        models=pool.models,
    )


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


# Exclusive latents


def code_of(dense: torch.Tensor) -> SparseCode:
    tokens, latents = dense.nonzero().T
    return SparseCode.by_token(latents, dense[tokens, latents], tokens, *dense.shape)


def test_bits_are_the_entropy_of_the_token():
    dense = torch.zeros(8, 3)
    dense[:, 0] = 1.0  # on eight different tokens
    dense[[0, 1], 1] = 5.0  # twice on one and the same
    ids = torch.tensor([3, 3, 4, 5, 6, 7, 8, 9])
    bits = token_bits(code_of(dense), ids)
    assert bits[0] == pytest.approx(6 * 3 / 8 + 2 * 2 / 8)
    assert bits[1:].tolist() == [0.0, 0.0]


def test_density_is_matched_by_ratio_and_each_latent_given_once():
    density = torch.tensor([0.1, 0.01, 0.09, 0.012, 0.5])
    assert match_density(density, torch.tensor([0, 1]), torch.tensor([2, 3, 4])).tolist() == [2, 3]
    assert match_density(density, torch.tensor([0, 0]), torch.tensor([2, 3, 4])).tolist() == [2, 4]
    assert match_density(density, torch.tensor([0, 1]), torch.tensor([4])).tolist() == [4]


def test_mirrors_are_told_from_latents_that_are_as_dense():
    dense = (draw(500, 6) > 1).float() * draw(500, 6, seed=1).abs()
    dense[:, 1] = 2 * dense[:, 0]  # the base's first is the tuned model's first
    code = code_of(dense)
    density = (dense > 0).float().mean(0)
    mirrored = measure_mirror(code, density, torch.tensor([1]), torch.tensor([0]), torch.tensor([2, 3]))
    assert mirrored is not None
    assert mirrored > 0.8
    other = measure_mirror(code, density, torch.tensor([4]), torch.tensor([0]), torch.tensor([2, 3]))
    assert other == pytest.approx(0.0, abs=0.15)
    assert measure_mirror(code, density, torch.tensor([]), torch.tensor([0]), torch.tensor([2])) is None


def test_correlations_are_those_of_numpy():
    a, b = draw(50, 3), draw(50, 2, seed=1)
    expected = torch.corrcoef(torch.cat([a, b], 1).T)[:3, 3:]
    torch.testing.assert_close(correlations(a, b).float(), expected, atol=1e-5, rtol=1e-4)
    assert correlations(torch.ones(50, 1), b).abs().max() < 1e-6


def test_a_pair_whose_latents_are_known():
    """Latent 0 is the base's, 1 the tuned model's, 2 and 3 are shared, 4 is designated shared."""
    x = torch.zeros(320, 2 * WIDTH)
    on = torch.zeros(320, 5, dtype=torch.bool)
    for latent, every in enumerate((4, 5, 32, 64, 2)):
        on[::every, latent] = True
    directions = torch.eye(WIDTH)[:5]
    x[:, :WIDTH] = on.float() @ directions
    x[:, WIDTH:] = x[:, :WIDTH]
    pool = pool_of(x, x, ("base", "tuned"))
    W_dec = torch.cat([directions, directions], 1)
    W_dec[0, WIDTH:] = 0
    W_dec[1, :WIDTH] = 0
    order = [4, 0, 1, 2, 3]  # designated latents are the first
    coder = crosscoder(torch.cat([directions, torch.zeros(5, WIDTH)], 1)[order], W_dec[order], pool)
    scores = score_pair("x", coder, pool, designated=1)
    assert scores.exclusive == (1, 1)
    assert scores.shared == 2
    assert scores.alive == 5
    assert scores.density[0] == pytest.approx(1 / 5)  # torch's median is the lower of two
    assert scores.density[1] == pytest.approx(1 / 64)
    assert sum(scores.norms) == 5
    assert (scores.norms[0], scores.norms[-1]) == (1, 1)
    assert scores.claimed == 1
    assert scores.shrunk == 1  # the base has it, and its error holds it
    assert scores.real == 0


def test_cosines_are_ranked_against_bits():
    """Four shared latents, of which those whose rows agree better are active on more tokens."""
    x, W_dec, steps = torch.zeros(256, 2 * WIDTH), torch.zeros(4, 2 * WIDTH), (16, 8, 4, 2)
    directions = torch.eye(WIDTH)
    for latent, every in enumerate(steps):
        x[::every, latent] = 1.0
        angle = torch.tensor(1.2 - 0.4 * latent)
        W_dec[latent, :WIDTH] = directions[latent]
        W_dec[latent, WIDTH:] = angle.cos() * directions[latent] + angle.sin() * directions[7]
    pool = pool_of(x, x, ("base", "tuned"))
    W_enc = torch.cat([directions[:4], torch.zeros(4, WIDTH)], 1)
    assert score_pair("x", crosscoder(W_enc, W_dec, pool), pool).cosine == pytest.approx(1.0)
    turned = W_dec[[3, 2, 1, 0]]
    turned[:, :WIDTH] = W_dec[:, :WIDTH]
    for latent, own in enumerate((3, 2, 1, 0)):
        angle = torch.tensor(1.2 - 0.4 * own)
        turned[latent, WIDTH:] = angle.cos() * directions[latent] + angle.sin() * directions[7]
    assert score_pair("x", crosscoder(W_enc, turned, pool), pool).cosine == pytest.approx(-1.0)


def test_the_same_model_twice_has_nothing_of_its_own():
    twice = use_twice(pool_of(draw(60, 2 * WIDTH), draw(20, 2 * WIDTH), ("base", "tuned")))
    for part in (twice.train, twice.held):
        assert torch.equal(part[:, :WIDTH], part[:, WIDTH:])
    assert {site.model for site in twice.sites} == {"base", "tuned"}


# Verdicts


def study_of(good: bool) -> CrosscodersStudy:
    """Numbers under which every claim holds, or none."""
    layers, pairs = [], []
    for seed in range(3):
        noise = 1 + 0.001 * seed
        better, worse = (1.0, 2.0) if good else (2.0, 1.0)
        losses = {
            names.ACAUSAL: better, names.SINGLE: worse, names.CAUSAL: 1.5 if good else 5.0, names.WIDE: 0.9,
            names.SHUFFLED: worse, names.TOP_ACAUSAL: 1.0, names.TOP_SINGLE: 1.0,
        }  # fmt: skip
        if not good:
            losses[names.WIDE] = 3.0
        coders = []
        for name in (*names.CODERS, names.RANDOM_ACAUSAL, names.RANDOM_SINGLE):
            scored = name in names.CODERS
            mixed = name == names.SHUFFLED
            active = 100.0 if name == names.WIDE and good else 10.0
            error = 2.0 if (name == names.WIDE) is good else 3.0
            explained = 0.9 if (name == names.TOP_ACAUSAL) is good else 0.8
            crossed = name in (names.ACAUSAL, names.TOP_ACAUSAL)
            f1 = 0.8 if crossed and good else 0.7 if not name.startswith("random") and not crossed else 0.3
            if name == names.WIDE and good:
                error = 3.0
            if name == names.ACAUSAL and good:
                error = 2.0
            shown = not mixed
            depth = DepthScores(
                single=(0.1 if shown else 0.9) if good else (0.9 if shown else 0.1),
                spanning=(0.7 if shown else 0.05) if good else 0.05,
                peaks=(0.5, 0.5),
                cosine=(0.6 if shown else 0.1) if good else 0.95 if shown else 0.97,
                lives=((1.0, 0.5), (0.5, 1.0)),
            )
            coders.append(
                LayerCoder(
                    name=name,
                    scores=CoderScores(
                        loss=losses[name] * noise, error=error * noise, explained=(explained * noise,),
                        active=active * noise, alive=9, latents=10,
                    ) if scored else None,
                    depth=depth if name in (names.ACAUSAL, names.SHUFFLED, names.TOP_ACAUSAL) else None,
                    concepts=ConceptScores(f1=f1 * noise, beyond=0.0, found=0.0),
                )
            )  # fmt: skip
        layers.append(LayerSeed(coders=tuple(coders), concepts=5, tokens=0.5 * noise, lives=()))
        scores = []
        for name in names.PAIRS:
            real_pair = name in (names.L1, names.L1_SHARED, names.TOP)
            exclusive = ((50, 51) if real_pair else (0, 0)) if good else ((0, 0) if real_pair else (9, 1))
            ratio = {names.L1: 10.0, names.L1_SHARED: 2.0}.get(name, 1.0)
            sign = 1 if good else -1
            l1 = name == names.L1
            cosine = sign * 0.3 * noise if real_pair else 0.0
            scores.append(
                PairScores(
                    name=name, explained=0.9, active=5.0, alive=1000, norms=(1.0,) * 20, exclusive=exclusive,
                    shared=100, density=(0.01 * ratio * noise, 0.01) if good else (None, 0.01),
                    tokens=sign * noise, mirrored=sign * 0.5 * noise, cosine=cosine,
                    claimed=40 + seed if l1 is good else 4, shrunk=0, decoupled=0,
                    real=5 if l1 is good else 4,
                )
            )  # fmt: skip
        pairs.append(PairSeed(tuned=f"t{seed}", moved=0.1, loss=(2.0, 1.0), pairs=tuple(scores)))
    return CrosscodersStudy(model="m", fingerprint="f", layers=tuple(layers), pairs=tuple(pairs))


def test_claims_hold_where_the_numbers_show_them_and_not_where_they_do_not():
    held, failed = (list_claims(study_of(good)) for good in (True, False))
    assert [(claim.subject, claim.statement) for claim in held if not claim.holds] == []
    assert [(claim.subject, claim.statement) for claim in failed if claim.holds] == []
    assert all(math.isfinite(len(claim.measured)) and claim.needed for claim in held)


def test_a_seed_without_exclusive_latents_shows_nothing_of_them():
    study = study_of(True)
    pairs = study.pairs[0].pairs
    bare = pairs[0].model_copy(update={"density": (None, 0.01), "tokens": None, "mirrored": None})
    first = study.pairs[0].model_copy(update={"pairs": (bare, *pairs[1:])})
    claims = list_claims(study.model_copy(update={"pairs": (first, *study.pairs[1:])}))
    lost = {claim.statement for claim in claims if not claim.holds}
    assert lost == {
        "exclusive latents are active more often",
        "they are active on more things than shared latents that are as dense",
        "those of one model mirror those of the other",
        "designated shared latents take the density away",
    }
    assert all("no such latents" in claim.measured for claim in claims if not claim.holds)
