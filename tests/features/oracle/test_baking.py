"""Edits as weights: a checkpoint in plain transformers against hooks of one's own, in every family."""

import json
import subprocess
import sys

import gguf
import numpy as np
import pytest
import tiny_models
import torch
from tiny_models import FAMILIES, HYBRIDS, MORE, MULTIMODAL, RECURRENT, SOUND, Family
from transformers import AutoModelForCausalLM

from mindscope.errors import ModelError
from mindscope.features import bake_checkpoint
from mindscope.models import Edit, Model, ablate_everywhere, load

EVERYWHERE = frozenset({"post", "attn", "mlp", "embeddings", "ablate"})
"""Additions behind a block, to its attention, to its MLP, to the first block's input; and an ablation."""
BLOCKS_NORMED = frozenset({"attn", "embeddings"})
"""What families hold that norm what their blocks write and have a bias in front of the attention's norm."""
TABLES = frozenset({"embeddings", "ablate"})
WITHOUT_MLP = EVERYWHERE - {"post", "mlp"}
HELD = {
    **dict.fromkeys(("llama", "qwen2", "gpt2", "gpt_neox", "opt", "gpt_oss", "falcon"), EVERYWHERE),
    **dict.fromkeys(("starcoder2", "smollm3", "granite", "phi", "deepseek_v2", "nemotron"), EVERYWHERE),
    **dict.fromkeys(("falcon_h1", "bamba", "llava"), EVERYWHERE),
    **dict.fromkeys(("gptj", "helium"), EVERYWHERE - {"attn"}),
    **dict.fromkeys(("mamba", "falcon_mamba", "mamba2"), EVERYWHERE - {"attn", "mlp"}),
    "cohere2": EVERYWHERE - {"mlp"},
    "bloom": EVERYWHERE - TABLES,  # its embeddings are normed on their way into the stream
    "zamba2": EVERYWHERE - TABLES - {"attn"},  # its shared blocks read the embeddings beside the stream
    **dict.fromkeys(("qwen3", "qwen3_moe", "gemma", "olmoe", "phimoe", "llama4_text"), WITHOUT_MLP),
    **dict.fromkeys(("deepseek_v3", "qwen3_next", "granitemoehybrid", "kimi_linear"), WITHOUT_MLP),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5"), WITHOUT_MLP),
    **dict.fromkeys(("mistral", "phi3", "glm4_moe", "mixtral", "stablelm", "qwen2_moe"), TABLES),
    **dict.fromkeys(("lfm2", "lfm2_moe", "jamba", "nemotron_h", "mistral3"), TABLES),
    **dict.fromkeys(("gemma2", "gemma3_text", "gemma3", "olmo2", "olmo3"), BLOCKS_NORMED),
    **dict.fromkeys(("glm4", "exaone4"), BLOCKS_NORMED - {"attn"}),
    "gemma4_text": BLOCKS_NORMED - {"embeddings"},  # every block reads the token's embedding again
}
"""What each family's weights can hold; the rest is refused."""


def edits_of(model: Model) -> dict[str, list[Edit]]:
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(3))
    places = {"post": "resid_post.1", "attn": "attn_out.1", "mlp": "mlp_out.1", "embeddings": "resid_pre.0"}
    additions = {name: [Edit(address, "add", vector, 0.7)] for name, address in places.items()}
    return {**additions, "ablate": ablate_everywhere(model, vector)}


def logprobs(hf, row, hooks=()) -> torch.Tensor:
    """By a forward pass of transformers, with hooks on the outputs of modules."""

    def on_output(change):
        def hook(_module, _arguments, output):
            return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

        return hook

    handles = [module.register_forward_hook(on_output(change)) for module, change in hooks]
    try:
        with torch.no_grad():
            return hf(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0].log_softmax(-1)
    finally:
        for handle in handles:
            handle.remove()


def is_slow(family: Family) -> bool:
    return family in [*MORE, *HYBRIDS, *RECURRENT, *MULTIMODAL]


CASES = [pytest.param(family, marks=[pytest.mark.slow] * is_slow(family), id=family.name) for family in SOUND]


def test_every_family_is_known():
    assert HELD.keys() == {family.name for family in SOUND}
    assert {family.name for family in FAMILIES} <= HELD.keys()


@pytest.mark.parametrize("family", CASES)
def test_a_family_holds_what_it_can_and_refuses_the_rest(family, rows, tmp_path):
    model = tiny_models.build(family)
    held = set()
    for name, edits in edits_of(model).items():
        folder = tmp_path / name
        try:
            baked = bake_checkpoint(model, edits, folder, rows)
        except ModelError:
            assert not folder.exists()
            continue
        held.add(name)
        assert baked.comparison.steering_rms > 0.01
        if name == "post":
            block = model.hf.get_submodule(family.blocks)[1]
            change = lambda hidden, edit=edits[0]: hidden + edit.value * edit.vector  # noqa: E731
            alone = type(model.hf).from_pretrained if baked.architecture != "LlamaForCausalLM" else None
            opened = (alone or AutoModelForCausalLM.from_pretrained)(folder).eval()
            for row in rows:
                steered = logprobs(model.hf, row, [(block, change)])
                assert (logprobs(opened, row) - steered).abs().max() < 1e-4
    assert held == HELD[family.name]


@pytest.mark.parametrize("tied", [False, True])
def test_an_ablation_is_that_of_every_write(llama, rows, tmp_path, tied):
    model = tiny_models.build(FAMILIES[0], tie_word_embeddings=tied)
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(5))
    unit = (vector / vector.norm()).double()

    def off(output):
        return (output.double() - (output.double() @ unit)[..., None] * unit).float()

    trunk = model.hf.model
    writes = [
        trunk.embed_tokens,
        *(layer.self_attn for layer in trunk.layers),
        *(layer.mlp for layer in trunk.layers),
    ]
    bake_checkpoint(model, ablate_everywhere(model, vector), tmp_path / "baked", rows)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "baked").eval()
    for row in rows:
        steered = logprobs(model.hf, row, [(module, off) for module in writes])
        assert (logprobs(opened, row) - steered).abs().max() < 1e-4
        assert (logprobs(model.hf, row) - steered).abs().max() > 0.05
    kept = opened.lm_head.weight if tied else None
    assert kept is None or torch.equal(kept, trunk.embed_tokens.weight)


def test_several_layers_and_directions_at_once(llama, rows, tmp_path):
    first, second = torch.linalg.qr(torch.randn(32, 2, generator=torch.Generator().manual_seed(1)))[0].T
    added = torch.randn(32, generator=torch.Generator().manual_seed(2))
    added = added - (added @ first) * first - (added @ second) * second
    ablations = [edit for vector in (first, second) for edit in ablate_everywhere(llama, vector.contiguous())]
    additions = [Edit("resid_post.0", "add", added, 0.3), Edit("resid_post.2", "add", added, -0.4)]
    baked = bake_checkpoint(llama, [*ablations, *additions, additions[0]], tmp_path / "baked", rows)
    assert baked.comparison.largest < 1e-4


def test_it_runs_without_this_package(llama, rows, tmp_path):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(4))
    bake_checkpoint(llama, [Edit("resid_post.1", "add", vector, 0.7)], tmp_path / "baked", rows)
    row = rows[0]

    def change(hidden):
        return hidden + 0.7 * vector

    np.save(tmp_path / "steered.npy", logprobs(llama.hf, row, [(llama.hf.model.layers[1], change)]).numpy())
    script = f"""
import sys
sys.modules["mindscope"] = None
import numpy, torch
from transformers import AutoModelForCausalLM
hf = AutoModelForCausalLM.from_pretrained({str(tmp_path / "baked")!r}).eval()
with torch.no_grad():
    ours = hf(torch.tensor([{list(row.ids)}])).logits[0].log_softmax(-1).numpy()
print(abs(ours - numpy.load({str(tmp_path / "steered.npy")!r})).max())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1e-4


@pytest.mark.parametrize(("family", "extra"), [("qwen2", {}), ("mistral", {"sliding_window": None})])
def test_what_is_a_llama_but_for_its_name_becomes_one(family, extra, rows, tmp_path):
    found = next(candidate for candidate in FAMILIES if candidate.name == family)
    model = tiny_models.build(found, **extra)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(6))
    baked = bake_checkpoint(model, [Edit("resid_post.0", "add", vector)], tmp_path / "baked", rows)
    assert baked.architecture == "LlamaForCausalLM"
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    assert (config["model_type"], config["mlp_bias"]) == ("llama", True)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_held_to_a_share_of_the_steering(llama, rows, tmp_path, precision):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(4))
    baked = bake_checkpoint(
        llama, [Edit("resid_post.1", "add", vector, 0.7)], tmp_path / "baked", rows, precision=precision
    )
    assert 1e-5 < baked.comparison.rms < 0.1 * baked.comparison.steering_rms
    hf = AutoModelForCausalLM.from_pretrained(tmp_path / "baked", dtype="auto")
    assert str(hf.dtype) == f"torch.{precision}"


def test_the_checkpoint_names_its_base(tiny, tmp_path):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(4))
    row = tiny.chat([{"role": "user", "content": "Why?"}])
    bake_checkpoint(tiny, [Edit("resid_post.1", "add", vector)], tmp_path / "baked", [row])
    baked = load(tmp_path / "baked", dtype="float32")
    assert baked.base is not None
    assert baked.base.fingerprint == tiny.fingerprint
    assert baked.chat([{"role": "user", "content": "Why?"}]).ids == row.ids


def test_llama_cpp_has_names_for_the_new_biases():
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 3)
    for module, name in (("mlp.down_proj", "ffn_down"), ("self_attn.o_proj", "attn_output")):
        found = names.get_name(f"model.layers.1.{module}.bias", try_suffixes=(".weight", ".bias"))
        assert found == f"blk.1.{name}.bias"
