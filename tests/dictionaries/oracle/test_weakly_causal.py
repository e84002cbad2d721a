"""Weakly causal crosscoders: each coder reads one site and writes this one and those behind it."""

from pathlib import Path

import pytest
import torch
from dictionary_kit import ACTIVE, ATOMS, AtomSource
from pydantic import ValidationError

from mindscope.dictionaries import Dictionary, DictionaryConfig, Site, TrainConfig, train
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.objective import compute_loss
from mindscope.store import Run

D, LATENTS = 6, 10
NAMES = ("a.0", "a.1", "a.2")
SITES = [Site(name, D) for name in NAMES]


def trainer(
    method: str, steps: int = 5, trained: int = 3, **changes
) -> tuple[DictionaryTrainer, torch.Tensor]:
    given = {"name": "x", "kind": "crosscoder", "reads": NAMES, "n_latents": LATENTS, "k": 3, "causal": True}
    config = DictionaryConfig.model_validate(given | {"method": method} | changes)
    own = DictionaryTrainer(config, SITES, SITES, steps=steps)
    x = torch.randn(64, 3 * D, generator=torch.Generator().manual_seed(0))
    own.begin(x, x)
    for _ in range(trained):
        own.step(x)
    return own, x


@pytest.mark.parametrize("method", ["relu", "topk", "batchtopk", "jumprelu"])
def test_latents_read_their_site_alone_and_write_no_earlier_one(method):
    own, x = trainer(method)
    finished = own.finish({})
    assert [wiring.reads for wiring in finished.wiring] == [(0,), (1,), (2,)]
    assert [wiring.writes for wiring in finished.wiring] == [(0, 1, 2), (1, 2), (2,)]
    other = x.clone()
    other[:, D : 2 * D] = torch.randn(64, D, generator=torch.Generator().manual_seed(1))
    before, after = (finished.encode(values).dense() for values in (x, other))
    assert torch.equal(before[:, :LATENTS], after[:, :LATENTS])
    assert torch.equal(before[:, 2 * LATENTS :], after[:, 2 * LATENTS :])
    assert not torch.equal(before[:, LATENTS : 2 * LATENTS], after[:, LATENTS : 2 * LATENTS])
    # what is read at the second site changes nothing that is written at the first
    assert torch.equal(finished(x)[:, :D], finished(other)[:, :D])
    assert not torch.equal(finished(x)[:, 2 * D :], finished(other)[:, 2 * D :])


def test_the_l1_loss_is_that_of_the_formula():
    own, x = trainer("relu")
    weights, state = own.weights, own._state()
    y = own.scaling.targets(x)
    total, penalty = weights.b_dec.expand(64, -1).clone(), torch.zeros(())
    for site, coder in enumerate(weights.coders()):
        f = (y[:, site * D : (site + 1) * D] @ coder.W_enc.T + coder.b_enc).relu()
        total[:, site * D :] += f @ coder.W_dec
        penalty = penalty + (f.sum(0) @ sum(part.norm(dim=1) for part in coder.W_dec.split(D, dim=1))) / 64
    terms = compute_loss(weights, y, y, state).terms
    expected = (total - y).square().sum() / 64 + 5.0 * state.ramp * penalty
    torch.testing.assert_close(torch.stack([*terms.values()]).sum(), expected)


def test_each_coder_begins_tied_where_it_reads():
    for method in ("relu", "batchtopk", "jumprelu"):
        own = trainer(method, steps=5, trained=0)[0]
        for coder in own.weights.coders():
            first, rows = coder.W_dec.detach()[:, :D], coder.W_enc.detach()
            assert torch.cosine_similarity(first, rows).min() == pytest.approx(1.0, abs=1e-5)


def test_dead_latents_are_drawn_again_from_what_they_read():
    own, x = trainer("relu", dead_tokens=1)
    coders = list(own.weights.coders())
    own.silent[1][4] = 10
    before = coders[1].W_enc.detach().clone()
    assert own.resample(x) >= 1
    assert not torch.equal(before[4], coders[1].W_enc[4])
    assert own.finish({})(x).isfinite().all()


def test_it_recovers_atoms_and_is_kept_whole(tmp_path: Path):
    source = AtomSource(scale=7.0)
    config = DictionaryConfig(
        name="cross", kind="crosscoder", reads=source.names, n_latents=2 * ATOMS, k=ACTIVE, causal=True,
        learning_rate=3e-3, dead_tokens=10_000,
    )  # fmt: skip
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        made = train(source, run, TrainConfig(dictionaries=(config,), steps=400, batch_tokens=512))["cross"]
    rows = torch.nn.functional.normalize(made.decoder(0, 0))
    atoms = torch.nn.functional.normalize(source.atoms)
    assert float(((atoms @ rows.T).max(1).values >= 0.95).float().mean()) >= 0.9  # BatchTopK's: test_recovery
    assert Dictionary.load(tmp_path / "run" / "cross").digest() == made.digest()
    _, x = source.tokens(2048, seed=1)
    error = (x - made(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert error < 0.1


@pytest.mark.parametrize("wrong", [{"kind": "sae", "reads": ("a",)}, {"shared_latents": 0.2}, {"delta": 1.0}])
def test_it_is_of_crosscoders_without_shared_latents(wrong):
    given = {"name": "x", "kind": "crosscoder", "reads": NAMES, "n_latents": 8, "causal": True}
    with pytest.raises(ValidationError, match="causal"):
        DictionaryConfig.model_validate(given | wrong)


def test_a_topk_crosscoder_writes_the_mean_too(tmp_path: Path):
    """Its input is centred in training; what it writes is not, or the finished one would lack the mean."""

    class MovedSource(AtomSource):
        def fill(self, buffer, position):
            after = super().fill(buffer, position)
            buffer += 5.0
            return after

    source = MovedSource(scale=7.0)
    config = DictionaryConfig(
        name="cross", kind="crosscoder", reads=source.names, n_latents=ATOMS, k=ACTIVE,
        learning_rate=3e-3, dead_tokens=10_000,
    )  # fmt: skip
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        made = train(source, run, TrainConfig(dictionaries=(config,), steps=300, batch_tokens=512))["cross"]
        trained = [line["explained_variance"] for line in run.metrics() if "explained_variance" in line][-1]
    x = source.tokens(2048, seed=1)[1] + 5.0
    explained = 1 - float((x - made(x)).square().sum() / (x - x.mean(0)).square().sum())
    assert explained == pytest.approx(trained, abs=0.03)
    assert float((x - made(x)).mean(0).norm()) < 0.1 * float(x.mean(0).norm())
