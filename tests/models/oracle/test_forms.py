"""The same weights as a folder, as an adapter beside its base, and as a GGUF file give the same reading."""

from pathlib import Path

import gguf_kit
import persona_kit
import pytest
import torch
from gguf import GGMLQuantizationType, quants
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer

from mindscope.models import Mean, Model, Raw, Read, load

IDS = tuple(torch.randint(0, 256, (14,), generator=torch.Generator().manual_seed(1)).tolist())
READS = {"all": Read("resid_post.1", Raw("all")), "mean": Read("mlp_out.0", Mean("all"))}


@pytest.fixture(scope="module")
def forms(tmp_path_factory) -> dict[str, Path]:
    """Folders of the base, of its adapter, of both merged, and what the merged weights are in GGUF files."""
    place = tmp_path_factory.mktemp("forms")
    tiny = persona_kit.tiny_chat_model(place / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tiny)

    def save(hf, name: str) -> Path:
        hf.save_pretrained(place / name)
        tokenizer.save_pretrained(place / name)
        return place / name

    paths = {"base": save(gguf_kit.small_qwen2(), "base")}
    adapted = gguf_kit.small_qwen2()
    adapted.name_or_path = str(paths["base"])
    wrapped = get_peft_model(
        adapted, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    )
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draw))
    wrapped.save_pretrained(place / "adapter")
    merged = wrapped.merge_and_unload()
    paths |= {"adapter": place / "adapter", "folder": save(merged, "folder")}
    for kind in (GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0):
        paths[kind.name] = place / f"{kind.name}.gguf"
        gguf_kit.write_gguf(merged, paths[kind.name], kind)
    with torch.no_grad():  # the quantisation alone, by the library's own formula
        for weight in merged.parameters():
            if weight.ndim == 2:
                packed = quants.quantize(weight.numpy(), GGMLQuantizationType.Q8_0)
                weight.copy_(torch.from_numpy(quants.dequantize(packed, GGMLQuantizationType.Q8_0)).half())
    return paths | {"rounded": save(merged, "rounded")}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))


def read(path: Path) -> dict[str, torch.Tensor]:
    model: Model = load(path, dtype="float32", device="cpu")
    row = model.text("")
    row = type(row)(IDS, len(IDS))
    return {name: reading.values[0] for name, reading in model.read([row], READS).items()}


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def test_an_adapter_reads_as_the_folder_of_its_merged_weights(forms):
    folder, adapter, base = read(forms["folder"]), read(forms["adapter"]), read(forms["base"])
    for name in READS:
        assert error(adapter[name], folder[name]) < 1e-5
        assert error(base[name], folder[name]) > 0.05  # or the adapter would change nothing


@pytest.mark.parametrize(("kind", "most"), [("F16", 1e-3), ("Q8_0", 2e-2)])
def test_a_gguf_file_reads_as_the_folder_to_the_error_of_its_numbers(forms, kind, most):
    folder, packed = read(forms["folder"]), read(forms[kind])
    for name in READS:
        assert 0 < error(packed[name], folder[name]) < most


def test_nothing_is_lost_but_by_the_quantisation(forms):
    rounded, packed = read(forms["rounded"]), read(forms["Q8_0"])
    for name in READS:
        assert error(packed[name], rounded[name]) < 1e-5
