"""GGUF files of a small model against the model that was written into them."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants
from tokenizers import pre_tokenizers
from transformers import Qwen2Config, Qwen2ForCausalLM

from mindscope.errors import ModelError
from mindscope.models import load

WIDTH, VOCABULARY = 64, 259
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
IN_BLOCK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))


def _model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=False,
    )
    return Qwen2ForCausalLM(config).eval()


def _gguf_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    return f"blk.{layer}.{IN_BLOCK[part]}.{kind}"


def _write(model: Qwen2ForCausalLM, path, kind: GGMLQuantizationType) -> None:
    """What llama.cpp's converter writes of such a model, with a tokenizer of bytes."""
    config = model.config
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, "<s>", "</s>", letters[0] * 2]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3, 3, 1])
    writer.add_token_merges([f"{letters[0]} {letters[0]}"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, weight in model.state_dict().items():
        values = weight.numpy()
        packed = kind if values.ndim == 2 else GGMLQuantizationType.F32
        data = quants.quantize(values, packed)
        writer.add_tensor(_gguf_name(name), data, raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (GGMLQuantizationType.F32, 0.0),
        (GGMLQuantizationType.F16, 2.0**-11),
        (GGMLQuantizationType.Q8_0, 0.01),
    ],
)
def test_weights_and_logits_are_those_that_were_written(tmp_path, kind, error):
    original, file = _model(), tmp_path / "small.gguf"
    _write(original, file, kind)
    model = load(str(file), dtype="float32")
    ours = dict(model.hf.named_parameters())
    for name, weight in original.named_parameters():
        packed = kind if weight.ndim == 2 else GGMLQuantizationType.F32
        written = quants.dequantize(quants.quantize(weight.detach().numpy(), packed), packed)
        # Quantised weights are kept in float16.
        rounding = 0 if kind is GGMLQuantizationType.F32 else 2.0**-11
        np.testing.assert_allclose(ours[name].detach().numpy(), written, rtol=rounding, atol=1e-7)
    ids = torch.randint(0, 256, (1, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, logits = original(ids).logits, model.hf(ids).logits
    assert (logits - expected).abs().max() <= max(1e-5, 4 * error * expected.abs().max())


def test_a_folder_with_one_gguf_file_means_that_file_and_is_unpacked_once(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    _write(_model(), folder / "small.gguf", GGMLQuantizationType.F32)
    first = load(str(folder), dtype="float32")
    assert len(list((tmp_path / "cache" / "gguf").iterdir())) == 1
    monkeypatch.setattr("mindscope.models.loading.gguf._unpack", lambda *_: pytest.fail("unpacked again"))
    again = load(str(folder / "small.gguf"), dtype="float32")
    assert again.fingerprint == first.fingerprint
    row = again.text("abc")
    assert [again.decode([token]) for token in row.ids] == ["a", "b", "c"]


def test_what_cannot_be_unpacked_is_one_line(tmp_path, monkeypatch):
    def refused(path, reason):
        with pytest.raises(ModelError, match=reason) as caught:
            load(str(path), dtype="float32")
        assert "\n" not in str(caught.value)
        left = tmp_path / "cache" / "gguf"
        assert not left.exists() or not list(left.iterdir())

    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    refused(tmp_path / "short.gguf", "is not a GGUF file or cut short")
    refused(tmp_path / "absent.gguf", "there is no GGUF file")
    several = tmp_path / "several"
    several.mkdir()
    for name in ("a", "b"):
        (several / f"{name}.gguf").write_bytes(b"GGUF")
    refused(several, r"holds 2 GGUF files \(a.gguf, b.gguf\); give the path of one")
    writer = GGUFWriter(tmp_path / "odd.gguf", "an_architecture_of_nobody")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    refused(tmp_path / "odd.gguf", "transformers cannot unpack odd.gguf")
