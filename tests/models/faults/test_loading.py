"""Folders that are not what they should be get one line that names the fix, before anything is loaded."""

import json
import pickle
import shutil

import pytest
import torch

from mindscope.errors import ModelError
from mindscope.models import Sampling, load
from mindscope.models.loading import loading

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 999\n"
PAGE = b"\n<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.fixture
def folder(llama, tmp_path):
    path = tmp_path / "tiny"
    llama.hf.save_pretrained(path)
    llama.tokenizer.save_pretrained(path)
    return path


def refused(path, match, **options):
    with pytest.raises(ModelError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_good_folder_loads_as_it_was_saved(folder, llama):
    model = load(folder, dtype="float32", device="cpu")
    assert model.fingerprint == llama.fingerprint
    assert model.name == str(folder)
    assert (model.n_layers, model.d_model, model.dtype, model.device.type) == (3, 32, torch.float32, "cpu")
    assert not model.hf.training


@pytest.mark.parametrize("content", [POINTER, PAGE])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_pointers_and_pages_are_told_from_files(folder, name, content):
    (folder / name).write_bytes(content)
    refused(folder, "git lfs pull" if content == POINTER else "download the raw file")


def test_weights_that_are_cut_short_are_refused(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    refused(folder, "damaged or cut short")
    file.write_bytes(b"")
    refused(folder, "damaged or cut short")


def test_a_pickle_under_a_safe_name_is_never_opened(folder):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    refused(folder, "damaged or cut short")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "no \\*.safetensors")


def test_missing_files_are_named(folder, tmp_path):
    refused(tmp_path / "nowhere", "there is no folder")
    (folder / "config.json").rename(tmp_path / "config.json")
    refused(folder, "no config.json")
    (folder / "config.json").write_text("{ not json")
    refused(folder, "not valid JSON")


def test_a_missing_shard_is_named(folder):
    index = {"metadata": {}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "lacks model-00002-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("[]")
    refused(folder, "not a valid index")


def test_weights_of_another_architecture_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    refused(folder, "lacks \\d+ weights, model.layers.3")
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64, "head_dim": 16}))
    refused(folder, "cannot load")
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no-such-model"}))
    refused(folder, "cannot load")
    (folder / "config.json").write_text(json.dumps({"model_type": "t5", "architectures": ["T5Model"]}))
    refused(folder, "cannot load")


def test_a_folder_without_a_tokenizer_is_refused(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused(folder, "cannot load")


@pytest.mark.parametrize(
    ("options", "match"),
    [({"dtype": "int8"}, "unknown dtype 'int8'"), ({"device": "warp"}, "no device 'warp'")],
)
def test_options_that_do_not_exist_are_refused(folder, options, match):
    with pytest.raises(ModelError, match=match):
        load(folder, **options)


def test_a_name_that_no_hub_has_is_refused():
    with pytest.raises(ModelError, match="cannot load no-such-owner/no-such-model") as caught:
        load("no-such-owner/no-such-model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["runs/tuned/model", "./model", "/nowhere/model"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name):
    with pytest.raises(ModelError, match=f"there is no folder {name}"):
        load(name)


def test_an_installation_without_the_organism_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "files", lambda package: tmp_path)
    with pytest.raises(ModelError, match="mindscope organism train"):
        load("organism")


def test_the_organism_is_the_folder_inside_the_package(monkeypatch, folder, tmp_path, llama):
    (tmp_path / "package" / "organism").mkdir(parents=True)
    shutil.copytree(folder, tmp_path / "package" / "organism" / "weights")
    monkeypatch.setattr(loading, "files", lambda package: {"mindscope": tmp_path / "package"}[package])
    model = load("organism")
    assert model.fingerprint == llama.fingerprint


def test_auto_chooses_bfloat16_only_where_it_is_fast(monkeypatch, folder):
    wide = type("Config", (), {"get_text_config": lambda self: self, "hidden_size": 128})()
    narrow = type("Config", (), {"get_text_config": lambda self: self, "hidden_size": 64})()
    cpu = torch.device("cpu")
    for able, config, expected in [
        ({"avx512_bf16": True}, wide, torch.bfloat16),
        ({"amx_bf16": True}, wide, torch.bfloat16),
        ({"avx512_bf16": True}, narrow, torch.float32),
        ({}, wide, torch.float32),
    ]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert loading._best_dtype(cpu, config) == expected
    assert load(folder).dtype == torch.float32


def test_logits_that_overflow_are_named_for_what_they_are(llama, rows):
    handle = llama.hf.lm_head.register_forward_hook(lambda _m, _a, out: out * float("nan"))
    try:
        with pytest.raises(ModelError, match="not finite"):
            llama.generate(rows, Sampling(max_new_tokens=2))
    finally:
        handle.remove()
