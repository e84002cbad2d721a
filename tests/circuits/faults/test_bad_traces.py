"""What cannot be traced is answered with one line, and leaves the model as it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import circuit_kit
import pytest
import tiny_models
import torch

from mindscope.circuits import DictionaryReplacement, NeuronReplacement, TraceConfig, targets, trace
from mindscope.dictionaries.formats import read_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.errors import DataError, MindscopeError, ModelError
from mindscope.features import Direction
from mindscope.models import Model, Row, load


def test_prompts(llama: Model):
    with pytest.raises(ModelError) as error:
        trace(llama, NeuronReplacement(llama), Row((60, *[1] * 64), 65))
    circuit_kit.require_line(error, "65 tokens", "takes 64")
    with pytest.raises(ModelError) as error:
        trace(llama, NeuronReplacement(llama), Row((), 0))
    circuit_kit.require_line(error, "empty")
    assert tiny_models.hooks_on(llama) == 0


def test_dictionaries_of_another_shape(llama: Model):
    for options, words in (
        ({"width": 24}, ("24 numbers", "32")),
        ({"layers": 2}, ("2 layers", "has 3")),
        ({"layers": 5}, ("5 layers", "has 3")),
        ({"read": "resid_post"}, ("resid_post.0", "mlp_in")),
        ({"write": "resid_post"}, ("resid_post.0", "mlp_out")),
    ):
        with pytest.raises(DataError) as error:
            trace(llama, DictionaryReplacement(circuit_kit.dictionary(llama, **options)), circuit_kit.ROW)
        circuit_kit.require_line(error, *words)
    another = circuit_kit.dictionary(llama).bind(llama)
    with pytest.raises(DataError) as error:
        trace(tiny_models.build_named("mistral"), DictionaryReplacement(another), circuit_kit.ROW)
    circuit_kit.require_line(error, "another model")


def test_files_of_another_kind_or_cut_short(parity: Path, tmp_path: Path):
    case = parity / "gemma2_clt"
    model = load(str(case / "model"), dtype="float32")
    folder = tmp_path / "clt"
    shutil.copytree(case / "transcoders", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    config = folder / "config.yaml"
    config.chmod(0o644)
    plain = config.read_text()
    config.write_text(plain + "activation: softmax\n")
    with pytest.raises(DataError) as error:
        read_dictionary(folder, options=ReadOptions(model=model))
    circuit_kit.require_line(error, "activation 'softmax'")
    config.write_text(plain)
    file = folder / "W_dec_1.safetensors"
    file.write_bytes(file.read_bytes()[:-500])
    lazy = read_dictionary(folder, options=ReadOptions(model=model, lazy=True))
    with pytest.raises(MindscopeError) as error:
        trace(model, DictionaryReplacement(lazy), circuit_kit.ROW)
    circuit_kit.require_line(error, "W_dec_1.safetensors")
    assert tiny_models.hooks_on(model) == 0


def test_models_that_cannot_be_held():
    with pytest.raises(ModelError) as error:
        bloom = tiny_models.build_named("bloom")
        trace(bloom, NeuronReplacement(bloom), circuit_kit.ROW)
    circuit_kit.require_line(error, "attention interface")
    mixture = tiny_models.build_named("qwen3_moe")
    with pytest.raises(ModelError) as error:
        trace(mixture, NeuronReplacement(mixture), circuit_kit.ROW)
    circuit_kit.require_line(error, "no neurons in layer 0")
    half = tiny_models.build_named("qwen2")
    half.hf.to(torch.bfloat16)
    half = Model.wrap(half.hf, half.tokenizer, name="half")
    with pytest.raises(ModelError) as error:
        trace(half, NeuronReplacement(half), circuit_kit.ROW)
    circuit_kit.require_line(error, "bfloat16", "dtype='float32'")


def test_a_block_that_does_something_else_is_noticed(llama: Model):
    """Whatever is between MLPs and not held makes the replacement another model: it is refused."""
    strange = tiny_models.build_named("llama")
    strange.hf.model.layers[1].self_attn.register_forward_hook(
        lambda _module, _args, output: (output[0].tanh() * 3, *output[1:])
    )
    with pytest.raises(ModelError) as error:
        trace(strange, NeuronReplacement(strange), circuit_kit.ROW)
    circuit_kit.require_line(error, "cannot be held")


def test_a_massive_activation_does_not_hide_what_a_block_does_elsewhere():
    """Most models have one entry in the thousands; in lengths of it, every other token may be wrong."""
    strange = tiny_models.build_named("llama")
    with torch.no_grad():
        strange.hf.get_input_embeddings().weight[60, 3] = 8000
    replacement = NeuronReplacement(strange)
    trace(strange, replacement, circuit_kit.ROW)
    strange.hf.model.layers[1].self_attn.register_forward_hook(
        lambda _module, _args, output: (output[0].tanh(), *output[1:])
    )
    strange = Model.wrap(strange.hf, strange.tokenizer, name="strange")
    with pytest.raises(ModelError) as error:
        trace(strange, NeuronReplacement(strange), circuit_kit.ROW)
    circuit_kit.require_line(error, "cannot be held")


def test_targets_that_are_not_there(llama: Model):
    replacement = DictionaryReplacement(circuit_kit.dictionary(llama))
    foreign = Direction("d", "resid_post.1", torch.ones(llama.d_model), "another")
    own = Direction("d", "value.1", torch.ones(llama.d_model), llama.fingerprint)
    for wanted, word in (
        (targets.tokens("w3 w4"), "2 tokens"),
        (targets.tokens(64), "no token 64"),
        (targets.tokens(5, "w5"), "twice"),
        (targets.difference(5, "w5"), "itself"),
        (targets.direction("d", foreign), "another model"),
        (targets.direction("d", own), "value.1"),
        (targets.feature(1, 99, 0), "no token 99"),
        (targets.feature(1, 0, 0), "not active"),
    ):
        with pytest.raises(DataError) as error:
            trace(llama, replacement, circuit_kit.ROW, targets=wanted)
        circuit_kit.require_line(error, word)
    for wrong in ({"max_features": 0}, {"rank_every": 0}, {"skip_tokens": -1}):
        with pytest.raises(DataError):
            TraceConfig(**wrong)
    with pytest.raises(DataError):
        targets.top_logits(probability=0)


def test_prompts_without_a_single_feature(llama: Model):
    """Everything is error, tokens and biases then, and still adds up."""
    dictionary = circuit_kit.dictionary(llama)
    silent = replace(
        dictionary, coders=tuple(replace(coder, b_enc=coder.b_enc - 1e3) for coder in dictionary.coders)
    )
    for replacement, row in (
        (DictionaryReplacement(silent), circuit_kit.ROW),
        (NeuronReplacement(llama), Row((60,), 1)),
    ):
        graph = trace(llama, replacement, row)
        assert graph.n_features == 0
        torch.testing.assert_close(
            graph.edges.sum(1) + graph.biases, graph.preactivations, atol=1e-5, rtol=1e-5
        )
