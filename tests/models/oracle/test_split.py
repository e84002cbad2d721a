"""A model that is shared out over memory and disk is the model: read, edited, written with, fingerprinted."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch
from peft import LoraConfig, get_peft_model

from mindscope.errors import ModelError
from mindscope.models import (
    Edit,
    Last,
    LoadOptions,
    Mean,
    Model,
    Raw,
    Read,
    Sampling,
    find_linear_parts,
    load,
    logit_effects,
)

MAP = {
    "model.embed_tokens": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.layers.2": "disk",
    "model.norm": "cpu",
    "model.rotary_emb": "cpu",
    "lm_head": "disk",
}
READS = {
    "tokens": Read("resid_post.1", Raw("all")),
    "mean": Read("resid_post.2", Mean("answer")),
    "inside": Read("mlp_in.2", Last("prompt")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def whole(folder) -> Model:
    return load(folder, dtype="float32", device="cpu")


def options(kind: str, place: Path) -> LoadOptions:
    if kind == "file":
        (place / "map.json").write_text(json.dumps(MAP))
        return LoadOptions(device_map=str(place / "map.json"), offload_folder=place / "weights")
    return LoadOptions(device_map="auto", max_memory=("cpu=100KB",), offload_folder=place / "weights")


@pytest.fixture(scope="module", params=["file", "auto"])
def split(request, folder, tmp_path_factory) -> Model:
    place = tmp_path_factory.mktemp(request.param)
    return load(folder, options(request.param, place), dtype="float32")


def rows(model: Model) -> list:
    talks = (("Hi", "Well."), ("What is it then?", "It is so, and so it was."))
    return [model.chat([{"role": "user", "content": ask}], answer=answer) for ask, answer in talks]


def edits(kind: str) -> list[Edit]:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    steered = [
        Edit("resid_post.1", "add", vector, 3.0, "response"),
        Edit("resid_post.2", "ablate", vector, 1.0, "all"),
    ]
    return {"plain": [], "edited": steered}[kind]


def test_most_weights_are_elsewhere(split, whole):
    assert split.is_split
    assert not whole.is_split
    assert sum(weight.device.type == "meta" for weight in split.hf.parameters()) >= 18
    assert split.device.type == "cpu"


@pytest.mark.parametrize("kind", ["plain", "edited"])
def test_it_reads_and_writes_as_the_whole_model(split, whole, kind):
    changes = edits(kind) or None
    ours, theirs = (model.read(rows(model), READS, edits=changes) for model in (split, whole))
    for name in READS:
        for mine, expected in zip(ours[name].values, theirs[name].values, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)
    prompts = [row.as_prompt() for row in rows(whole)]
    sampling = Sampling(max_new_tokens=12, seed=1)
    answers = [
        model.generate(prompts, sampling, edits=changes, reads={"mean": READS["mean"]})
        for model in (split, whole)
    ]
    assert [answer.row.ids for answer in answers[0]] == [answer.row.ids for answer in answers[1]]
    for mine, expected in zip(*answers, strict=True):
        torch.testing.assert_close(mine.reads["mean"], expected.reads["mean"], rtol=1e-4, atol=1e-4)
    logits = [model.next_logits(rows(model), edits=changes) for model in (split, whole)]
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)


def test_passes_of_ones_own_are_edited(split, whole):
    change = [Edit("resid_post.1", "add", edits("edited")[0].vector, 3.0, "all")]
    logits = []
    for model in (split, whole):
        with torch.no_grad(), model.edited(change):
            logits.append(model.hf(**model.batch(rows(model))).logits)
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)


def test_it_has_the_names_of_the_whole_model(split, whole):
    assert split.identity == whole.identity


def test_what_needs_all_weights_is_refused(split, whole):
    vector = torch.ones(1, 32)
    assert logit_effects(whole, vector).shape == (1, whole.vocab_size)
    for act in (lambda: find_linear_parts(split), lambda: logit_effects(split, vector)):
        with pytest.raises(ModelError, match="on one device: load it without a device map") as refused:
            act()
        assert "\n" not in str(refused.value)


def test_an_adapter_is_merged_and_then_shared_out(folder, tmp_path):
    base = load(folder, dtype="float32", device="cpu")
    wrapped = get_peft_model(base.hf, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    wrapped.save_pretrained(tmp_path / "adapter")
    merged = load(tmp_path / "adapter", dtype="float32", device="cpu")
    for kind in ("file", "auto"):
        split = load(tmp_path / "adapter", options(kind, tmp_path), dtype="float32")
        assert split.is_split
        assert split.fingerprint == merged.fingerprint
        ours, theirs = (model.read(rows(model), READS)["mean"].values for model in (split, merged))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
