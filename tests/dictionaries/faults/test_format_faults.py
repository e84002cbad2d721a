"""Files that are not what they seem: each is refused with one line that says what is wrong."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.dictionaries.formats import FORMATS, detect, read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.errors import MindscopeError

D, F = 8, 20
SITE = [Site("resid_post.1", D)]


def sae(activation: str = "relu", **extra) -> Dictionary:
    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(*shape, generator=draw) for shape in ((F, D), (F,), (F, D))]
    k = extra.pop("k", None)
    return Dictionary.single(
        Coder(*weights, **extra), torch.zeros(D), reads=SITE, writes=SITE, activation=activation, k=k
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound SAELens folder."""
    write_dictionary(sae(), tmp_path / "sae", "saelens")
    return tmp_path / "sae"


def refused(path: Path, *words: str, format_: str | None = None, options: ReadOptions | None = None) -> None:
    with pytest.raises(MindscopeError) as caught:
        read_dictionary(path, format_, options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def change(folder: Path, **tensors) -> None:
    file = folder / "sae_weights.safetensors"
    weights = load_file(file) | tensors
    save_file({name: tensor for name, tensor in weights.items() if tensor is not None}, file)


def configure(folder: Path, **settings) -> None:
    file = folder / "cfg.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_tensors_that_do_not_fit(folder: Path):
    sound = load_file(folder / "sae_weights.safetensors")
    change(folder, W_enc=sound["W_enc"].T.contiguous())
    refused(folder, "W_enc is [20, 8], [8, 20] is needed", "transposed")
    change(folder, W_enc=sound["W_enc"][:-1])
    refused(folder, "W_enc is [7, 20]")
    change(folder, W_enc=None)
    refused(folder, "lacks W_enc")
    change(folder, W_enc=sound["W_enc"], log_threshold=torch.ones(F))
    refused(folder, "log_threshold", "does not know")
    change(folder, log_threshold=None, scaling_factor=torch.full((F,), 2.0))
    refused(folder, "scaling_factor", "does not set finetuning_scaling_factor")
    change(folder, W_dec=sound["W_dec"].int(), scaling_factor=None)
    refused(folder, "W_dec holds torch.int32")
    bad = sound["W_dec"].clone()
    bad[3, 2] = float("nan")
    change(folder, W_dec=bad, scaling_factor=None)
    refused(folder, "W_dec holds NaN", str(folder))


def test_settings_that_change_the_forward_pass(folder: Path):
    configure(folder, normalize_activations="batch_norm")
    refused(folder, "normalize_activations 'batch_norm' is not supported")
    configure(folder, normalize_activations="none", architecture="batchtopk")
    refused(folder, "'batchtopk' is not supported")
    configure(folder, architecture="standard", d_in="eight")
    refused(folder, "d_in is 'eight', int is needed")
    (folder / "cfg.json").write_text("[1]")
    refused(folder, "holds no settings")


def test_files_that_are_something_else(folder: Path, tmp_path: Path):
    file = folder / "sae_weights.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    refused(folder, "Git LFS pointer")
    file.write_bytes(pickle.dumps({"W_enc": 1}))
    refused(folder, "is a pickle")
    file.write_bytes(whole[:-40])
    refused(folder, "cut short")
    file.unlink()
    refused(folder, "not of a known format")
    refused(folder, "no such file", format_="saelens")
    refused(tmp_path / "nowhere", "no such file or folder")
    refused(folder, "no format 'sae_lens'", format_="sae_lens")


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("went_off"),)


def test_no_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ae.pt").write_bytes(pickle.dumps({"bias": Bomb()}, protocol=2))
    trainer = {"dict_class": "AutoEncoder", "submodule_name": "resid_post_layer_1"}
    (tmp_path / "config.json").write_text(json.dumps({"trainer": trainer}))
    refused(tmp_path, "not a .pt file of plain tensors")
    torch.save({"bias": [1, 2]}, tmp_path / "ae.pt")
    refused(tmp_path, "tensors by name")
    np.savez(tmp_path / "params.npz", W_enc=np.array([Bomb()], dtype=object))
    refused(tmp_path / "params.npz", "not a plain npz archive", options=ReadOptions(reads=("resid_post.1",)))
    (tmp_path / "params.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    refused(tmp_path / "params.npz", "Git LFS pointer")
    assert not (tmp_path / "went_off").exists()


def test_places_are_never_guessed(folder: Path, tmp_path: Path):
    configure(folder, metadata={})
    refused(folder, "does not say where it reads")
    configure(folder, metadata={"hook_name": "blocks.1.hook_mlp_out"})
    refused(folder, "depends on the architecture")
    configure(folder, metadata={"hook_name": "blocks.1.hook_mlp_in"})
    refused(folder, "has no address here")
    jump = sae("jumprelu", threshold=torch.ones(F))
    write_dictionary(jump, tmp_path / "gemma", "gemma_scope")
    refused(tmp_path / "gemma", "does not say where it reads")
    write_dictionary(sae("topk", k=3), tmp_path / "qwen", "qwen_scope")
    refused(tmp_path / "qwen" / "layer1.sae.pt", "does not hold k")
    refused(tmp_path / "qwen", "give one of its files")


def test_circuit_tracer_folders(tmp_path: Path):
    sites = [tuple(Site(f"{point}.{at}", D) for at in range(3)) for point in ("resid_mid", "mlp_out")]
    draw = torch.Generator().manual_seed(0)
    coders = tuple(
        Coder(*(torch.randn(*shape, generator=draw) for shape in ((F, D), (F,), (F, D * (3 - at)))))
        for at in range(3)
    )
    wiring = tuple(Wiring((at,), tuple(range(at, 3)), F) for at in range(3))
    clt = Dictionary(*sites, wiring, coders, torch.zeros(3 * D), "relu")
    write_dictionary(clt, tmp_path, "circuit_tracer")
    good = load_file(tmp_path / "W_dec_1.safetensors")["W_dec_1"]
    save_file({"W_dec_1": good[:, :1].contiguous()}, tmp_path / "W_dec_1.safetensors")
    refused(tmp_path, "W_dec_1 is [20, 1, 8], [20, 2, 8] is needed")
    save_file({"W_dec_1": good}, tmp_path / "W_dec_1.safetensors")
    lazy = read_dictionary(tmp_path, options=ReadOptions(lazy=True))
    save_file({"W_dec_1": good * float("nan")}, tmp_path / "W_dec_1.safetensors")
    with pytest.raises(MindscopeError, match="NaN"):
        lazy.encode(torch.zeros(2, 3 * D))
    (tmp_path / "W_enc_1.safetensors").rename(tmp_path / "W_enc_9.safetensors")
    refused(tmp_path, "lacks W_enc_1.safetensors")
    config = {"model_kind": "transcoder_set", "transcoders": ["hf://a/b/c"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    refused(tmp_path, "download and list local ones")


@pytest.mark.parametrize(
    ("format_", "dictionary", "words"),
    [
        ("sparsify", sae("relu"), "cannot hold the activation relu"),
        ("gemma_scope", sae("topk", k=3), "cannot hold the activation topk"),
        ("qwen_scope", sae("jumprelu", threshold=torch.ones(F)), "cannot hold the activation jumprelu"),
        ("circuit_tracer", sae(), "cannot hold a sae"),
        ("llama_scope", sae("jumprelu", threshold=torch.arange(F) + 1.0), "one threshold for all latents"),
        ("dictionary_learning", sae("batchtopk", threshold=torch.arange(F) + 1.0, k=3), "one threshold"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    format_: str, dictionary: Dictionary, words: str, tmp_path: Path
):
    with pytest.raises(MindscopeError, match=words):
        write_dictionary(dictionary, tmp_path / "out", format_)


def test_two_formats_in_one_folder(folder: Path):
    assert detect(folder) is FORMATS["saelens"]
    (folder / "params.npz").touch()
    refused(folder, "could be saelens or gemma_scope", "name the format")
