"""Where published files say that they read and write, found in a model."""

import json
from pathlib import Path

import pytest
import torch
from tiny_models import FAMILIES, build, rows

from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.dictionaries.formats import read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
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
