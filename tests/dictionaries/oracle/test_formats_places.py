"""Where published files say that they read and write, found in a model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import FAMILIES, build, rows

from mindscope.dictionaries import Coder, Dictionary, DictionaryBank, Site
from mindscope.dictionaries.evaluation.splice import spliced
from mindscope.dictionaries.formats import read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.errors import DataError, MindscopeError
from mindscope.features import MeasuredTokens
from mindscope.models import Model, Raw, Read

NAMED = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def model() -> Model:
    return build(NAMED["gemma2"])


def transcoder(d: int, activation: str = "jumprelu", **extra) -> Dictionary:
    draw = torch.Generator().manual_seed(0)
    threshold = torch.rand(50, generator=draw) if activation == "jumprelu" else None
    weights = [torch.randn(*shape, generator=draw) for shape in ((50, d), (50,), (50, d))]
    skip = torch.randn(d, d, generator=draw) if extra.pop("skip", False) else None
    return Dictionary.single(
        Coder(*weights, threshold=threshold, W_skip=skip),
        torch.randn(d, generator=draw),
        reads=[Site("mlp_in.1", d)],
        writes=[Site("mlp_out_post.1", d)],
        activation=activation,
        **extra,
    )


@pytest.mark.parametrize("name", ["gemma2", "gpt2"])
def test_a_transcoder_that_reads_inside_a_norm(name: str, tmp_path: Path):
    """What it makes of x / rms, out of what the model carries behind the norm."""
    model = build(NAMED[name])
    write_dictionary(transcoder(model.d_model), tmp_path / "params.npz", "gemma_scope")
    raw = read_dictionary(tmp_path, options=ReadOptions(reads=("mlp_in.1",), writes=("mlp_out.1",)))
    options = ReadOptions(model, reads=("blocks.1.ln2.hook_normalized",), writes=("blocks.1.hook_mlp_out",))
    placed = read_dictionary(tmp_path, options=options)
    reads = {one: Read(one, Raw("all")) for one in ("mlp_in.1", "resid_mid.1")}
    found = {one: reading.values[0] for one, reading in model.read([rows()[1]], reads).items()}
    before = found["resid_mid.1"]
    before = before - before.mean(1, keepdim=True) if name == "gpt2" else before
    inside = before / (before.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(placed(found["mlp_in.1"]), raw(inside), rtol=1e-3, atol=2e-3)
    assert placed.models == {"0": model.fingerprint}


def test_modules_named_by_gemma_scope_2(model: Model, tmp_path: Path):
    write_dictionary(transcoder(model.d_model, skip=True), tmp_path, "gemma_scope_2", ReadOptions(model))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["hf_hook_point_out"] == "model.layers.1.post_feedforward_layernorm.output"
    config["hf_hook_point_in"] = "model.layers.1.pre_feedforward_layernorm.output"  # the published name
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = read_dictionary(tmp_path, options=ReadOptions(model))
    assert (found.reads[0].address, found.writes[0].address) == ("mlp_in.1", "mlp_out_post.1")


def test_folder_named_by_sparsify(model: Model, tmp_path: Path):
    folder = tmp_path / "layers.1.mlp"
    write_dictionary(transcoder(model.d_model, "topk", k=4), folder, "sparsify")
    found = read_dictionary(folder, options=ReadOptions(model))
    assert (found.reads[0].address, found.writes[0].address) == ("mlp_in.1", "mlp_out.1")


@pytest.mark.parametrize("kind", ["layer_norm", "unit_norm"])
def test_an_sae_that_normalises_every_token_in_the_model(kind: str, tmp_path: Path):
    """Encoded, spliced, saved, and one latent alone, against the formula."""
    model = build(NAMED["gpt2"])
    d, draw = model.d_model, torch.Generator().manual_seed(0)
    weights = [torch.randn(*shape, generator=draw) for shape in ((50, d), (50,), (50, d))]
    site, b_dec = [Site("resid_post.1", d)], torch.randn(d, generator=draw)
    sae = Dictionary.single(
        Coder(*weights), b_dec, reads=site, writes=site, activation="relu", apply_b_dec_to_input=True,
        normalisation=kind,
    ).bind(model)  # fmt: skip
    sae.save(tmp_path / "sae.safetensors")
    loaded = Dictionary.load(tmp_path / "sae.safetensors", model)
    assert loaded.digest() == sae.digest() != replace(sae, normalisation=None).digest()
    values = model.read(rows(), {"x": Read("resid_post.1", Raw())})["x"].values
    x = torch.cat(list(values)).double()
    if kind == "layer_norm":
        mean, scale = x.mean(1, keepdim=True), x.std(1, keepdim=True)
        seen = (x - mean) / (scale + 1e-5)
    else:
        mean, scale = torch.zeros(len(x), 1), x.norm(dim=1, keepdim=True) / d**0.5
        seen = x / scale
    W_enc, b_enc, W_dec = (tensor.double() for tensor in weights)
    acts = ((seen - b_dec) @ W_enc.T + b_enc).relu()
    out = (acts @ W_dec + b_dec) * scale + mean
    torch.testing.assert_close(loaded.encode(x.float()).dense().double(), acts, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loaded(x.float()).double(), out, rtol=1e-4, atol=1e-3)
    some = DictionaryBank(loaded).values(x.float(), [3, 7])
    torch.testing.assert_close(some.double(), acts[:, [3, 7]], rtol=1e-4, atol=1e-4)
    keep = MeasuredTokens().mask(rows())
    with spliced(model, loaded, keep), model.watched("passed_on.1") as found, torch.inference_mode():
        model.hf(**model.batch(rows()))
        written = found["passed_on.1"][keep]
    torch.testing.assert_close(written.double(), out, rtol=1e-3, atol=1e-2)
    for name in ("sparsify", "dictionary_learning", "circuit_tracer"):
        with pytest.raises(MindscopeError, match=r"normalises every token|cannot hold"):
            write_dictionary(sae, tmp_path / "out", name)
    with pytest.raises(DataError, match="of a transcoder is not known"):
        replace(sae, writes=(Site("resid_post.2", d),), apply_b_dec_to_input=False)


def test_a_saelens_file_of_all_heads_of_a_layer_is_bound(tmp_path: Path):
    model = build(NAMED["gpt2"])
    width = model.width(model.place("z.1"))
    draw = torch.Generator().manual_seed(0)
    tensors = {"W_enc": (width, 20), "W_dec": (20, width), "b_enc": (20,), "b_dec": (width,)}
    save_file(
        {name: torch.randn(*shape, generator=draw) for name, shape in tensors.items()},
        tmp_path / "sae_weights.safetensors",
    )
    config = {"architecture": "standard", "d_in": width, "d_sae": 20, "hook_name": "blocks.1.attn.hook_z"}
    (tmp_path / "cfg.json").write_text(json.dumps(config | {"reshape_activations": "hook_z"}))
    sae = read_dictionary(tmp_path, options=ReadOptions(model))
    assert sae.reads == (Site("z.1", width),)
    assert len(sae.encode(model.read(rows(), {"x": Read("z.1", Raw())})["x"].values[0])) == len(rows()[0])
