"""What a dictionary reads, activates and writes, against plain dense formulas."""

from pathlib import Path

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.dictionaries import Coder, Dictionary, Site, Wiring, stack_dictionaries
from mindscope.errors import DataError
from mindscope.models import Model

TOKENS = 6


def coder(latents: int, d_in: int, d_out: int, seed: int = 0, **extra: torch.Tensor) -> Coder:
    draw = torch.Generator().manual_seed(seed)
    weights = [
        torch.randn(*shape, generator=draw) for shape in ((latents, d_in), (latents,), (latents, d_out))
    ]
    return Coder(*weights, **extra)


def sae(activation: str = "relu", k: int | None = None, **extra: torch.Tensor) -> Dictionary:
    sites = [Site("resid_post.1", 8)]
    return Dictionary.single(
        coder(20, 8, 8, **extra), torch.arange(8.0), reads=sites, writes=sites, activation=activation, k=k,
        apply_b_dec_to_input=True,
    )  # fmt: skip


def x(width: int = 8) -> torch.Tensor:
    return torch.randn(TOKENS, width, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("activation", ["relu", "topk", "batchtopk", "jumprelu"])
def test_activations(activation: str):
    threshold = torch.linspace(0.1, 4, 20)
    extra = {"threshold": threshold} if activation in ("batchtopk", "jumprelu") else {}
    dictionary = sae(activation, k=3, **extra)
    weights = dictionary.coder
    before = (x() - dictionary.b_dec) @ weights.W_enc.T + weights.b_enc
    wanted = {
        "relu": before.relu(),
        "topk": torch.where(before >= before.topk(3).values[:, -1:], before, 0).relu(),
        "batchtopk": torch.where(before > threshold, before, 0),
        "jumprelu": torch.where(before > threshold, before, 0),
    }[activation]
    assert wanted.any()
    torch.testing.assert_close(dictionary.encode(x()).dense(), wanted)
    torch.testing.assert_close(dictionary(x()), wanted @ weights.W_dec + dictionary.b_dec)


def test_skip_transcoder():
    skip = torch.randn(8, 6, generator=torch.Generator().manual_seed(4))
    weights = coder(20, 8, 6, W_skip=skip)
    b_dec = torch.arange(6.0)
    found = Dictionary.single(
        weights, b_dec, reads=[Site("mlp_in.0", 8)], writes=[Site("mlp_out.0", 6)], activation="relu"
    )
    assert found.kind == "transcoder"
    wanted = (x() @ weights.W_enc.T + weights.b_enc).relu() @ weights.W_dec + b_dec + x() @ skip
    torch.testing.assert_close(found(x()), wanted)


def clt(layers: int = 3, width: int = 4) -> Dictionary:
    sites = [[Site(f"{name}.{layer}", width) for layer in range(layers)] for name in ("mlp_in", "mlp_out")]
    wiring = tuple(Wiring((at,), tuple(range(at, layers)), 5 + at) for at in range(layers))
    coders = tuple(coder(5 + at, width, width * (layers - at), seed=at) for at in range(layers))
    return Dictionary(*map(tuple, sites), wiring, coders, torch.arange(12.0), "relu")


def test_cross_layer_transcoder():
    dictionary = clt()
    assert dictionary.kind == "clt"
    inputs, outputs = x(12).split(4, dim=1), []
    acts = [(one @ at.W_enc.T + at.b_enc).relu() for one, at in zip(inputs, dictionary.coders, strict=True)]
    for target in range(3):
        total = dictionary.b_dec[4 * target : 4 * target + 4].expand(TOKENS, 4)
        for source in range(target + 1):
            total = total + acts[source] @ dictionary.decoder(source, target)
        outputs.append(total)
    code = dictionary.encode(dictionary.join(inputs))
    torch.testing.assert_close(code.dense(), torch.cat(acts, 1))
    for found, wanted in zip(dictionary.split(dictionary(x(12))), outputs, strict=True):
        torch.testing.assert_close(found, wanted)
    assert dictionary.locate(5) == (1, 0)
    assert dictionary.latents(2) == range(11, 18)
    with pytest.raises(DataError, match="does not write"):
        dictionary.decoder(1, 0)


def one_layer(at: int, activation: str = "relu") -> Dictionary:
    return Dictionary.single(
        coder(5 + at, 4, 4, seed=at), torch.arange(4.0) + 4 * at, reads=[Site(f"mlp_in.{at}", 4)],
        writes=[Site(f"mlp_out.{at}", 4)], activation=activation, k=2 if activation == "topk" else None,
    )  # fmt: skip


def test_transcoders_of_all_layers_in_one():
    layers = [one_layer(at) for at in range(3)]
    found = stack_dictionaries(layers)
    assert (found.kind, found.n_latents) == ("transcoder", 18)
    for at, written in enumerate(found.split(found(x(12)))):
        torch.testing.assert_close(written, layers[at](x(12)[:, 4 * at : 4 * at + 4]))


@pytest.mark.parametrize(
    ("layers", "wrong"),
    [
        ([], "only transcoders"),
        ([sae()], "only transcoders"),
        ([one_layer(0), one_layer(0)], "one layer"),
        ([one_layer(0), one_layer(1, "topk")], "unlike"),
    ],
)
def test_what_cannot_be_stacked(layers: list[Dictionary], wrong: str):
    with pytest.raises(DataError, match=wrong):
        stack_dictionaries(layers)


def test_crosscoder_reads_and_writes_all():
    sites = [Site("resid_post.0", 4), Site("resid_post.1", 4)]
    weights = coder(10, 8, 8)
    found = Dictionary.single(weights, torch.zeros(8), reads=sites, writes=sites, activation="relu")
    assert found.kind == "crosscoder"
    acts = (x()[:, :4] @ weights.W_enc[:, :4].T + x()[:, 4:] @ weights.W_enc[:, 4:].T + weights.b_enc).relu()
    torch.testing.assert_close(found.split(found(x()))[1], acts @ weights.W_dec[:, 4:])


@pytest.mark.parametrize("lazy", [False, True])
def test_save_and_load(tmp_path: Path, lazy: bool):
    for name, saved in (("sae.safetensors", sae("topk", k=3)), ("clt", clt())):
        saved.save(tmp_path / name)
        loaded = Dictionary.load(tmp_path / name, lazy=lazy)
        inputs = x(saved.d_in)
        assert torch.equal(loaded(inputs), saved(inputs))
        assert (loaded.reads, loaded.wiring, loaded.k) == (saved.reads, saved.wiring, saved.k)


@pytest.mark.parametrize("lazy", [False, True])
def test_kept_in_half_the_space_and_loaded_in_float32(tmp_path: Path, lazy: bool):
    for name, whole in (("sae.safetensors", sae("topk", k=3)), ("clt", clt())):
        whole.save(tmp_path / name, torch.bfloat16)
        loaded = Dictionary.load(tmp_path / name, lazy=lazy)
        assert torch.equal(loaded.coders[0].W_dec, whole.coders[0].W_dec.bfloat16().float())
        assert torch.equal(loaded.coders[0].b_enc, whole.coders[0].b_enc)
        kept = Dictionary.load(tmp_path / name, lazy=lazy, dtype=None)
        assert kept.coders[0].W_dec.dtype == torch.bfloat16


@pytest.fixture(scope="module")
def model() -> Model:
    return build(FAMILIES[0])


def test_bind_and_steer_by_a_latent(model: Model):
    sites = [Site("resid_post.1", model.d_model)]
    weights = coder(20, 32, 32)
    free = Dictionary.single(weights, torch.zeros(32), reads=sites, writes=sites, activation="relu")
    with pytest.raises(DataError, match="bind"):
        free.latent(3)
    latent = free.bind(model).latent(3)
    assert torch.equal(latent.write.vector, weights.W_dec[3])
    assert torch.equal(latent.read.vector, weights.W_enc[3])
    edit = latent.write.edit(2.0)
    assert edit.address == "resid_post.1"
    assert latent.write.fingerprint == model.fingerprint
