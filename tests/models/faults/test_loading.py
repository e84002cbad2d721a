"""Folders that are not what they should be get one line that names the fix, before anything is loaded."""

import json
import pickle
import shutil
from importlib.util import find_spec

import pytest
import torch

from mindscope.errors import ModelError
from mindscope.models import LoadOptions, Sampling, load
from mindscope.models.loading import loading, placement

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
    (folder / "config.json").unlink()
    refused(folder, "no config.json; point to a Hugging Face model folder")
    (folder / "model").mkdir()
    (folder / "model" / "adapter_config.json").touch()  # as a run keeps what it tuned
    refused(folder, f"no config.json; point to {folder / 'model'}$")
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


def set_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


QUANTISED = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "bitsandbytes-8": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
    "compressed-tensors": {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}},
        },
    },
    "torchao": {"quant_method": "torchao", "quant_type": "int8_weight_only"},
    "hqq": {"quant_method": "hqq", "quant_config": {}},
}
LIBRARIES = {
    "bitsandbytes-8": "bitsandbytes",
    "gptq": "optimum",
    "awq": "gptqmodel",
    "compressed-tensors": "compressed_tensors",
}


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_weights_whose_library_is_absent_name_it(folder, name):
    if find_spec(LIBRARIES.get(name, name)) is not None:
        pytest.skip("the library is installed")
    set_config(folder, quantization_config=QUANTISED[name])
    refused(folder, "cannot load .*(install|not available)")


@pytest.mark.parametrize("settings", [{"quant_method": "modelopt", "quant_algo": "NVFP4"}, {"bits": 4}])
def test_packed_weights_that_nothing_reads_are_not_taken_for_numbers(folder, settings):
    set_config(folder, quantization_config=settings)
    refused(folder, "is quantised .*; load the model that it was made from")


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
        {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    ],
    ids=lambda settings: settings["quant_method"],
)
def test_eight_bit_floats_become_plain_matrices_on_a_cpu(folder, settings):
    set_config(folder, quantization_config=settings)
    model = load(folder, device="cpu")
    assert model.dtype == torch.float32
    assert model.identity.dtype == "float32"
    assert all(weight.is_floating_point() for weight in model.hf.parameters())


class Unmovable(torch.nn.Linear):
    def _apply(self, fn, recurse=True):
        raise ValueError("`.to` is not supported for `8-bit` bitsandbytes models")


def test_weights_that_cannot_move_are_left_where_they_are(monkeypatch, folder):
    """As packed weights of bitsandbytes are: loading puts them on the device, `.to` raises."""
    loaded = loading._parts(str(folder), lambda _: torch.float32, LoadOptions(), torch.device("cpu"))
    loaded.hf.lm_head.__class__ = Unmovable
    monkeypatch.setattr(loading, "_parts", lambda *_: loaded)
    assert load(folder, device="cpu").hf is loaded.hf
    refused(folder, "cannot put .* on meta: `.to` is not supported", device="meta")


def test_single_files_are_refused_for_what_they_are(folder):
    refused(folder / "model.safetensors", "holds weights alone; give its folder")
    refused(folder / "tokenizer.json", "is a file; give a Hugging Face model folder")


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_model_never_runs_and_nobody_is_asked(folder, tmp_path, monkeypatch, file):
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    document = json.loads((folder / file).read_text())
    names = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M", "AutoTokenizer": [None, "evil.T"]}
    (folder / file).write_text(
        json.dumps(document | {"auto_map": names, "model_type": "own", "tokenizer_class": "OwnTokenizer"})
    )
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    refused(folder, "brings Python code of its own, which runs only with --trust-remote-code")
    assert not ran.exists()


def test_code_that_comes_with_a_model_runs_on_request(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(
        f"open({str(ran)!r}, 'w').close()\nfrom transformers import LlamaConfig\n\n\n"
        "class OwnConfig(LlamaConfig):\n    pass\n"
    )
    set_config(folder, auto_map={"AutoConfig": "own.OwnConfig"}, model_type="own")
    refused(folder, "brings Python code of its own")
    assert not ran.exists()
    with pytest.raises(ModelError, match="cannot load"):  # its weights have no class
        load(folder, LoadOptions(trust_remote_code=True))
    assert ran.exists()


def test_a_folder_has_no_revision(folder):
    refused(folder, "is not on a hub and has no revision 'main'", revision="main")


def test_a_revision_is_asked_of_the_hub(monkeypatch):
    asked = []

    def from_pretrained(source, **options):
        asked.append((source, options["revision"], options["trust_remote_code"]))
        raise OSError("no such repository")

    monkeypatch.setattr(loading.AutoConfig, "from_pretrained", from_pretrained)
    with pytest.raises(ModelError, match="cannot load owner/model: no such repository"):
        load("owner/model", revision="v2")
    with pytest.raises(ModelError, match="cannot load owner/model: no such repository"):
        load("owner/model@v3", LoadOptions(trust_remote_code=True))
    assert asked == [("owner/model", "v2", False), ("owner/model", "v3", True)]
    with pytest.raises(ModelError, match="names a revision, and 'v2' is another one"):
        load("owner/model@v3", revision="v2")


def test_a_folder_may_have_an_at_in_its_name(folder, llama):
    (other := folder.with_name("tiny@2")).symlink_to(folder)
    assert load(other, dtype="float32", device="cpu").name == str(other)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_is_chosen_and_changes_nothing_but_rounding(folder, llama, rows, attention):
    model = load(folder, LoadOptions(attention=attention), dtype="float32", device="cpu")
    assert model.hf.config._attn_implementation == attention
    torch.testing.assert_close(model.next_logits(rows), llama.next_logits(rows), rtol=1e-4, atol=1e-5)
    answers = [one.generate(rows, Sampling(max_new_tokens=6, temperature=0)) for one in (model, llama)]
    assert [answer.row.ids for answer in answers[0]] == [answer.row.ids for answer in answers[1]]


def test_attention_that_is_not_installed_is_named(folder):
    if find_spec("flash_attn") is not None:
        pytest.skip("flash attention is installed")
    with pytest.raises(ModelError, match=r"cannot load .*[Ff]lash") as caught:
        load(folder, LoadOptions(attention="flash_attention_2"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"device_map": "auto", "device": "cpu"}, "one of them says where the model runs"),
        ({"max_memory": ("cpu=1GiB",)}, "give --device-map auto"),
        ({"device_map": "auto", "max_memory": ("lots",)}, "write for example 0=20GiB"),
    ],
)
def test_options_that_contradict_each_other_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        LoadOptions(**settings)


@pytest.mark.parametrize("text", ["nowhere.json", "{", "{}x", '{"lm_head": [1]}', "[1]", "everywhere"])
def test_a_device_map_that_is_none_is_one_line(folder, text):
    with pytest.raises(ModelError, match="device map") as caught:
        load(folder, LoadOptions(device_map=text))
    assert "\n" not in str(caught.value)


def test_a_device_map_that_an_editor_marked_is_read(tmp_path):
    (tmp_path / "map.json").write_bytes(b'\xef\xbb\xbf{"model": "cpu"}')
    assert LoadOptions(device_map=str(tmp_path / "map.json")).placement() == {"model": "cpu"}


def test_a_device_map_without_accelerate_names_it(folder, monkeypatch):
    monkeypatch.setattr(placement, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"needs accelerate: pip install 'mindscope\[train\]'"):
        load(folder, LoadOptions(device_map="auto"))


def test_weights_go_straight_to_a_device(folder, monkeypatch):
    """What transformers is told for a device that is no CPU, as far as a machine without one can tell."""
    told = []
    monkeypatch.setattr(loading, "_from_hub", lambda kind, *_, **options: told.append(options) or kind)
    monkeypatch.setattr(loading, "check_quantisation", lambda *_: False)
    monkeypatch.setattr(loading, "adopt_template", lambda *_: None)
    with pytest.raises(TypeError):  # what was loaded is not a model
        loading._parts(str(folder), lambda _: torch.float32, LoadOptions(), torch.device("cuda", 1))
    assert told[-1]["device_map"] == {"": torch.device("cuda", 1)}
