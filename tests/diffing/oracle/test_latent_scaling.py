"""Latent scaling against least squares, and on a crosscoder whose latents are known."""

import pytest
import torch
from torch.nn.functional import normalize

from mindscope.dictionaries import Dictionary, Site
from mindscope.dictionaries.coder import Coder
from mindscope.diffing import PairConfig, SyntheticPair, scale_latents, score_exclusive
from mindscope.errors import DataError


def crosscoder(W_enc, W_dec, width: int, models=("base", "tuned")) -> Dictionary:
    sites = tuple(Site("resid_post.0", width, model) for model in models)
    return Dictionary.single(
        Coder(W_enc, torch.zeros(len(W_enc)), W_dec),
        torch.zeros(2 * width),
        reads=sites,
        writes=sites,
        activation="relu",
    )


@pytest.fixture(scope="module")
def random_case():
    draw = torch.Generator().manual_seed(0)
    W_enc, W_dec = (torch.randn(7, 10, generator=draw) for _ in range(2))
    return crosscoder(W_enc, W_dec, 5), torch.randn(300, 10, generator=draw)


def test_against_least_squares_of_each_latent(random_case):
    dictionary, x = random_case
    scaling = scale_latents(dictionary, x.split(64), "tuned")
    f = dictionary.encode(x).dense().double()
    W_dec = dictionary.coder.W_dec.double()
    written = f @ W_dec
    for latent in range(7):
        own = W_dec[latent, 5:]
        betas = {}
        for name, half in (("base", slice(0, 5)), ("tuned", slice(5, 10))):
            contribution = torch.outer(f[:, latent], W_dec[latent, half])
            targets = {
                "error": (x.double() - written)[:, half] + contribution,
                "reconstruction": written[:, half],
            }
            for kind, target in targets.items():
                # min over beta of |beta f d - target|^2, both as one long vector
                column = torch.outer(f[:, latent], own).flatten()[:, None]
                betas[kind, name] = torch.linalg.lstsq(column, target.flatten()[:, None]).solution.item()
        for kind, nu in (("error", scaling.nu_error), ("reconstruction", scaling.nu_reconstruction)):
            expected = betas[kind, "base"] / betas[kind, "tuned"]
            assert float(nu[latent]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert scaling.n_active.tolist() == (f > 0).sum(0).tolist()


def perfect(pair: SyntheticPair, *, shrunk: bool = False, split: bool = False) -> Dictionary:
    """A crosscoder with a latent for each atom, which reads it; with the artefacts of L1 if asked."""
    width = pair.config.width
    joined = torch.cat([pair.atoms[0], pair.atoms[1]], dim=1)
    W_enc = torch.linalg.pinv(joined).T  # reads one atom and none of the others
    W_dec = joined.clone()
    weak = [i for i, kind in enumerate(pair.kinds) if kind == "weak"]
    if shrunk:
        W_dec[weak, :width] = 0
    if split:  # each shared atom written by two latents, one for each model
        twins = [i for i, kind in enumerate(pair.kinds) if kind == "shared"]
        second = W_dec[twins].clone()
        second[:, width:] = 0
        W_dec[twins, :width] = 0
        W_enc, W_dec = torch.cat([W_enc, W_enc[twins]]), torch.cat([W_dec, second])
    return crosscoder(W_enc, W_dec, width)


@pytest.fixture(scope="module")
def pair():
    return SyntheticPair(PairConfig(width=64, shared=12, noise=0.0))


def test_a_right_crosscoder_keeps_all_its_exclusive_latents(pair):
    dictionary = perfect(pair)
    scaling = scale_latents(dictionary, [pair.batch(4096)], "tuned")
    scores = score_exclusive(pair, dictionary, scaling.exclusive)
    assert (scores.precision, scores.recall) == (1, 1)
    assert torch.equal(scaling.claimed, scaling.exclusive)
    base = scale_latents(dictionary, [pair.batch(4096)], "base")
    assert int(base.exclusive.sum()) == pair.config.base


def test_complete_shrinkage_is_flagged_by_the_error(pair):
    dictionary = perfect(pair, shrunk=True)
    scaling = scale_latents(dictionary, [pair.batch(4096)], "tuned")
    wrong = score_exclusive(pair, dictionary, scaling.claimed)
    assert wrong.wrong == {"weak": pair.config.weak}
    assert int(scaling.shrunk.sum()) == pair.config.weak
    weak = [i for i, kind in enumerate(pair.kinds) if kind == "weak"]
    assert scaling.nu_error[weak].tolist() == pytest.approx([pair.config.weakness] * len(weak), abs=0.05)
    assert score_exclusive(pair, dictionary, scaling.exclusive).precision == 1


def test_latent_decoupling_is_flagged_by_the_reconstruction(pair):
    dictionary = perfect(pair, split=True)
    scaling = scale_latents(dictionary, [pair.batch(4096)], "tuned")
    assert score_exclusive(pair, dictionary, scaling.claimed).wrong == {"shared": pair.config.shared}
    assert int(scaling.decoupled.sum()) == pair.config.shared
    right = score_exclusive(pair, dictionary, scaling.exclusive)
    assert (right.precision, right.recall) == (1, 1)


def test_the_atoms_are_what_the_pair_says(pair):
    kinds = dict(zip(pair.kinds, zip(*pair.atoms, strict=True), strict=True))
    base, tuned = kinds["rotated"]
    assert float(normalize(base, dim=0) @ normalize(tuned, dim=0)) == pytest.approx(0.6, abs=1e-5)
    assert not kinds["tuned"][0].any()
    assert float(kinds["weak"][0].norm()) == pytest.approx(0.25)
    first, again = torch.empty(8, 128), torch.empty(8, 128)
    assert pair.fill(first, (0, 3)) == (0, 4)
    pair.fill(again, (0, 3))
    assert torch.equal(first, again)


def test_models_of_unlike_width_and_no_tokens_are_refused():
    sites = (Site("a", 3, "base"), Site("a", 4, "tuned"))
    coder = Coder(torch.ones(2, 7), torch.zeros(2), torch.ones(2, 7))
    unlike = Dictionary.single(coder, torch.zeros(7), reads=sites, writes=sites, activation="relu")
    with pytest.raises(DataError, match="one width"):
        scale_latents(unlike, [torch.ones(2, 7)], "tuned")
    alike = crosscoder(torch.ones(2, 6), torch.ones(2, 6), 3)
    with pytest.raises(DataError, match="needs activations"):
        scale_latents(alike, [], "tuned")
