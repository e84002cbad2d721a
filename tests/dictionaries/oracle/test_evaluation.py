"""Every measure against a closed form, a plain computation, or a world in which the answer is known."""

import random
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.dictionaries.evaluation.config import EvaluateConfig
from mindscope.dictionaries.evaluation.evaluate import evaluate
from mindscope.dictionaries.evaluation.reconstruction import ReconstructionSums
from mindscope.dictionaries.evaluation.recovered import loss_sums
from mindscope.dictionaries.evaluation.reseeds import ReseedSpread, measure_reseeded
from mindscope.dictionaries.evaluation.splice import spliced
from mindscope.dictionaries.lazy import LazyCoders
from mindscope.errors import DataError
from mindscope.features import MeasuredTokens
from mindscope.models import Model, Raw, Read, Row, load
from mindscope.organism.corpus.program import conversation
from mindscope.store import Run


@pytest.fixture(scope="module")
def model() -> Model:
    return load("organism", dtype="float32")


@pytest.fixture(scope="module")
def rows(model: Model) -> list[Row]:
    texts = ["".join(part.text for part in conversation(random.Random(seed))) for seed in range(12)]
    return [Row(row.ids[:48], min(row.prompt_length, 48)) for row in (model.text(text) for text in texts)]


def basis(model: Model, address: str, scale: float = 1.0) -> Dictionary:
    """Orthonormal directions and their opposites: relu(x) - relu(-x) = x, so that nothing is lost."""
    d = model.d_model
    matrix = torch.randn(d, d, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(matrix)[0]
    rows = torch.cat([rotation, -rotation])
    site = [Site(address, d)]
    coder = Coder(rows, torch.zeros(2 * d), scale * rows)
    return Dictionary.single(coder, torch.zeros(d), reads=site, writes=site, activation="relu")


def test_perfect_and_zero_dictionaries(model: Model, rows: list[Row], tmp_path: Path):
    perfect = basis(model, "resid_post.2")
    nothing = basis(model, "resid_post.2", scale=1e-12)
    with Run.open(tmp_path / "run", kind="dictionary-evaluate", config={}) as run:
        good, bad = evaluate(model, {"perfect": perfect, "nothing": nothing}, rows, run)
    assert good.recovered.ce_recovered == pytest.approx(1, abs=1e-4)
    assert good.recovered.kl_recovered == pytest.approx(1, abs=1e-4)
    assert good.reconstruction.explained_variance == pytest.approx(1, abs=1e-5)
    assert good.sparsity.l0 == pytest.approx(model.d_model, rel=1e-3)  # of each pair one fires
    assert bad.recovered.ce_spliced == pytest.approx(bad.recovered.ce_zero, abs=1e-5)
    assert bad.recovered.ce_recovered == pytest.approx(0, abs=1e-4)
    assert bad.recovered.kl_spliced == pytest.approx(bad.recovered.kl_zero, rel=1e-5)
    assert bad.recovered.ce_zero > bad.recovered.ce_clean + 1


def random_sae(model: Model, address: str, k: int = 8) -> Dictionary:
    d, draw = model.d_model, torch.Generator().manual_seed(3)
    weights = [torch.randn(*shape, generator=draw) / 8 for shape in ((300, d), (300,), (300, d))]
    site = [Site(address, d)]
    return Dictionary.single(
        Coder(*weights), torch.randn(d, generator=draw), reads=site, writes=site, activation="topk", k=k,
        apply_b_dec_to_input=True,
    )  # fmt: skip


def by_hand(model: Model, row: Row, address: str, new) -> tuple[float, Tensor]:
    """The loss of one row, and its logits, with a plain hook on a block."""
    layer = model.hf.model.layers[int(address.split(".")[1])]

    def hook(_module, _args, output):
        hidden = output[0] if isinstance(output, tuple) else output
        changed = new(hidden[0])[None]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = layer.register_forward_hook(hook)
    ids = torch.tensor([row.ids])
    with torch.inference_mode():
        logits = model.hf(input_ids=ids).logits[0, :-1]
    handle.remove()
    return float(cross_entropy(logits, ids[0, 1:], reduction="sum")), logits.double().log_softmax(-1)


def test_losses_against_plain_hooks(model: Model, rows: list[Row]):
    dictionary, rows = random_sae(model, "resid_post.3"), [rows[0], Row(rows[1].ids[:20], 3), rows[2]]
    means = torch.randn(model.d_model, generator=torch.Generator().manual_seed(4))
    found = loss_sums(model, dictionary, rows, MeasuredTokens().mask(rows), means)
    few = loss_sums(model, dictionary, rows[1:2], MeasuredTokens().mask(rows[1:2]), means, "response")
    arms = {
        "clean": lambda h: h,
        "spliced": dictionary,
        "zero": torch.zeros_like,
        "mean": lambda h: means.expand_as(h),
    }
    wanted = {name: [by_hand(model, row, "resid_post.3", new) for row in rows] for name, new in arms.items()}
    assert found["predictions"] == sum(len(row) - 1 for row in rows)
    answer = rows[1].ids[3:]
    clean = by_hand(model, rows[1], "resid_post.3", dictionary)[1][2:]  # scored from 2 on
    wanted_few = -sum(float(line[token]) for line, token in zip(clean, answer, strict=True))
    assert few["predictions"] == len(answer)
    assert few["ce_spliced"] == pytest.approx(wanted_few, rel=1e-4)
    for name, results in wanted.items():
        assert found[f"ce_{name}"] == pytest.approx(sum(loss for loss, _ in results), rel=1e-5)
        if name != "clean":
            kl = sum(
                float((clean.exp() * (clean - other)).sum())
                for (_, clean), (_, other) in zip(wanted["clean"], results, strict=True)
            )
            assert found[f"kl_{name}"] == pytest.approx(kl, rel=1e-4)


def test_losses_in_pieces_are_the_same(model: Model, rows: list[Row], monkeypatch):
    """Neither how many tokens a pass takes nor how many logits are in float32 at a time is in the result."""
    dictionary, means = random_sae(model, "resid_post.3"), torch.zeros(model.d_model)
    keep = MeasuredTokens().mask(rows)
    whole = loss_sums(model, dictionary, rows, keep, means)
    monkeypatch.setattr("mindscope.models.linear.logit_pieces.LOGITS_AT_ONCE", 3000)
    assert loss_sums(model, dictionary, rows, keep, means) == pytest.approx(whole, rel=1e-5)


def test_no_weight_of_a_lazy_dictionary_is_read_before_it_is_used(model: Model, rows, tmp_path: Path):
    """Moving it reads nothing; an evaluation has one coder in memory at a time."""
    clt(model).save(tmp_path / "clt")
    lazy = Dictionary.load(tmp_path / "clt", lazy=True)
    assert isinstance(lazy.coders, LazyCoders)
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def watched(coder: Coder) -> Coder:
        nonlocal most
        own = coder.to(dtype=torch.float32)
        alive.append(weakref.ref(own.W_enc))
        most = max(most, sum(tensor() is not None for tensor in alive))
        return own

    moved = replace(lazy, coders=lazy.coders.mapped(watched)).to("cpu", torch.float32)
    assert not alive
    x = torch.randn(6, moved.d_in, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved(x), clt(model)(x))
    assert len(alive) >= 3 * model.n_layers
    assert most <= 2


def test_tokens_that_do_not_count_stay_as_they_are(model: Model, rows: list[Row]):
    dictionary, row = random_sae(model, "resid_post.3"), rows[0]
    keep = MeasuredTokens(skip=5).mask([row])
    assert keep.sum() == len(row) - 5
    plain = model.read([row], {"it": Read("resid_post.3", Raw("all"))})["it"].values[0]
    with spliced(model, dictionary, keep), model.watched("passed_on.3") as seen, torch.inference_mode():
        model.hf(**model.batch([row]))
        changed = seen["passed_on.3"][0]
    torch.testing.assert_close(changed[:5], plain[:5])
    torch.testing.assert_close(changed[5:], dictionary(plain)[5:], rtol=1e-4, atol=1e-4)


def clt(model: Model) -> Dictionary:
    n, d, draw = model.n_layers, model.d_model, torch.Generator().manual_seed(5)
    coders = tuple(
        Coder(
            *(torch.randn(*s, generator=draw) / 10 for s in ((64, d), (64,), (64, d * (n - at)))),
            W_skip=torch.randn(d, d * (n - at), generator=draw) / 30,
        )
        for at in range(n)
    )
    sites = [tuple(Site(f"{point}.{at}", d) for at in range(n)) for point in ("mlp_in", "mlp_out")]
    wiring = tuple(Wiring((at,), tuple(range(at, n)), 64) for at in range(n))
    return Dictionary(*sites, wiring, coders, torch.randn(n * d, generator=draw) / 10, "relu")


def test_cross_layer_transcoder_in_place_of_all_mlps(model: Model, rows: list[Row]):
    """Each layer's MLP written by hand out of what the layers before read, in one pass."""
    dictionary, row = clt(model), rows[0]
    inputs: list[Tensor] = []
    layers = model.hf.model.layers

    def by_layer(at: int):
        def hook(_module, args, output):
            inputs.append(args[0][0])
            total = dictionary.b_dec.split(model.d_model)[at]
            for source in range(at + 1):
                coder, columns = (
                    dictionary.coders[source],
                    slice((at - source) * model.d_model, (at - source + 1) * model.d_model),
                )
                acts = (inputs[source] @ coder.W_enc.T + coder.b_enc).relu()
                total = total + acts @ coder.W_dec[:, columns] + inputs[source] @ coder.W_skip[:, columns]
            return total[None]

        return hook

    handles = [layer.mlp.register_forward_hook(by_layer(at)) for at, layer in enumerate(layers)]
    with torch.inference_mode():
        wanted = model.hf(input_ids=torch.tensor([row.ids])).logits
    for handle in handles:
        handle.remove()
    with spliced(model, dictionary, MeasuredTokens().mask([row])), torch.inference_mode():
        for _ in range(2):  # nothing is left over from one pass to the next
            found = model.hf(**model.batch([row])).logits
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_reads_later_than_it_writes_cannot_be_spliced(model: Model, rows: list[Row]):
    sites = [Site("resid_post.1", model.d_model), Site("resid_post.3", model.d_model)]
    width = 2 * model.d_model
    crosscoder = Dictionary.single(
        Coder(torch.ones(4, width), torch.zeros(4), torch.ones(4, width)), torch.zeros(width),
        reads=sites, writes=sites, activation="relu",
    )  # fmt: skip
    with (
        pytest.raises(DataError, match=r"before it reads resid_post\.3"),
        spliced(model, crosscoder, MeasuredTokens().mask(rows[:1])),
        torch.inference_mode(),
    ):
        model.hf(**model.batch(rows[:1]))


def test_reconstruction_sums_in_pieces():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 7, generator=draw, dtype=torch.float64) * 3 + 50
    out = x + torch.randn(200, 7, generator=draw, dtype=torch.float64)
    whole = ReconstructionSums(7)
    for part in range(0, 200, 60):
        piece = ReconstructionSums(7)
        piece.add(x[part : part + 60], out[part : part + 60])
        whole.merge(piece.total, piece.mean)
    found = whole.result()
    assert found.explained_variance == pytest.approx(
        1 - float((x - out).square().sum(1).mean() / x.var(0, correction=0).sum()), rel=1e-9
    )
    assert found.mse == pytest.approx(float((x - out).square().mean()))
    assert found.cosine == pytest.approx(float(cosine_similarity(x, out).mean()))
    assert found.norm_ratio == pytest.approx(float((out.norm(dim=1) / x.norm(dim=1)).mean()))


def test_sparsity_counts(model: Model, rows: list[Row], tmp_path: Path):
    dictionary = random_sae(model, "resid_post.1")
    with Run.open(tmp_path / "run", kind="dictionary-evaluate", config={}) as run:
        (found,) = evaluate(model, {"it": dictionary}, rows, run, EvaluateConfig(shard_rows=5, skip=2))
        density = run.load_tensors("evaluate/it/density.safetensors")["density"]
    read = model.read(rows, {"it": Read("resid_post.1", Raw("all"))})["it"].values
    acts = dictionary.encode(torch.cat([one[2:] for one in read])).dense()
    assert found.tokens == len(acts)
    assert found.sparsity.l0 == pytest.approx(float((acts > 0).sum(1).float().mean()))
    assert found.sparsity.dead == pytest.approx(float(((acts > 0).sum(0) == 0).float().mean()))
    assert found.sparsity.dense == pytest.approx(float(((acts > 0).float().mean(0) > 0.1).float().mean()))
    torch.testing.assert_close(density.float(), (acts > 0).float().mean(0))


def test_draws_have_a_spread_and_a_smallest_difference():
    """The interval by SciPy's own, and the difference by simulation: 5 % of equal pairs lie farther apart."""
    values = [0.71, 0.74, 0.69, 0.75, 0.70]
    spread = ReseedSpread.of(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (spread.low, spread.high) == (pytest.approx(low), pytest.approx(high))
    assert (spread.mean, spread.sd) == (pytest.approx(0.718), pytest.approx(np.std(values, ddof=1)))
    draw = np.random.default_rng(0)
    pairs = draw.normal(size=(20_000, 2, 5))
    pooled_sd = np.sqrt(pairs.var(axis=2, ddof=1).mean(axis=1))
    apart = np.abs(pairs.mean(axis=2) @ [1, -1])
    beyond = apart > spread.smallest_difference / spread.sd * pooled_sd
    assert float(beyond.mean()) == pytest.approx(0.05, abs=0.006)
    seen: list[int] = []

    def measure(seed: int) -> dict[str, float | None]:
        seen.append(seed)
        return {"a": float(seed), "b": None if seed == 4 else 1.0}

    assert list(measure_reseeded(measure, range(3, 6))) == ["a"]
    assert seen == [3, 4, 5]
    assert measure_reseeded(measure, [3]) == {}
