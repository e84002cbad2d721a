"""Which first tokens have no nodes, and that a text loses no word to them."""

import circuit_kit
import pytest
import tiny_models
import torch

from mindscope.circuits import DictionaryReplacement, NeuronReplacement, TraceConfig, trace
from mindscope.circuits.attribution.prompt_row import as_prompt_row
from mindscope.models import Model, Row


def family(name: str, **extra) -> Model:
    return tiny_models.build(next(family for family in tiny_models.FAMILIES if family.name == name), **extra)


@pytest.mark.parametrize(
    ("absent", "front"),
    [
        ((), 60),  # bos
        (("bos_token",), 62),  # pad
        (("bos_token", "pad_token"), 61),  # eos
        (("bos_token", "pad_token", "eos_token"), 63),  # any special token
    ],
)
def test_a_text_gets_the_special_token_that_there_is(absent: tuple[str, ...], front: int):
    model = family("qwen2")
    for name in absent:
        setattr(model.tokenizer, name, None)
    assert as_prompt_row(model, "w1 w2 w3 w4").ids == (front, 1, 2, 3, 4)
    graph = trace(model, NeuronReplacement(model), "w1 w2 w3 w4")
    assert graph.skip_tokens == 1
    assert graph.features[:, 1].unique().tolist() == [1, 2, 3, 4]  # the first word is there


def test_a_special_token_is_not_put_before_another():
    model = family("qwen2")
    model.tokenizer.bos_token = None
    assert as_prompt_row(model, "</s> w1").ids == (61, 1)
    row = Row((1, 2), 2)
    assert as_prompt_row(model, row) is row


def test_a_text_without_special_tokens_keeps_its_first_word():
    model = family("llama")
    for name in ("bos_token", "pad_token", "eos_token", "unk_token"):
        setattr(model.tokenizer, name, None)
    graph = trace(model, NeuronReplacement(model), "w1 w2 w3")
    assert (graph.ids, graph.skip_tokens) == ((1, 2, 3), 0)
    assert 0 in graph.features[:, 1]


@pytest.mark.parametrize("name", ["llama", "gpt2", "olmo2"])
def test_sinks_from_the_first_token_on_are_left_out(name: str):
    """Of tokens 60 and 5 everything is 1,000 times as large; a later 5 has a token before it that is not."""
    model = family(name)
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[[60, 5]] *= 1000
    row = Row((60, 5, 17, 42, 5, 8, 23, 9), 8)
    graph = trace(model, NeuronReplacement(model), row)
    # OLMo 2 has norms behind its layers alone: what they read has no scale to tell by.
    assert graph.skip_tokens == (1 if name == "olmo2" else 2)
    assert graph.features[:, 1].min() == graph.skip_tokens
    torch.testing.assert_close(graph.edges.sum(1) + graph.biases, graph.preactivations, atol=2e-3, rtol=1e-3)
    assert trace(model, NeuronReplacement(model), row, TraceConfig(skip_tokens=0)).features[:, 1].min() == 0


def test_the_chats_of_gemma_3_have_no_nodes_before_the_first_word():
    model = family("gemma3_text", vocab_size=80)
    model.tokenizer.add_special_tokens(
        {"bos_token": "<bos>", "additional_special_tokens": ["<start_of_turn>"]}
    )
    prefix = model.tokenizer("<bos><start_of_turn>user\n", add_special_tokens=False)["input_ids"]
    row = Row((*prefix, 8, 23, 9, 3), len(prefix) + 4)
    replacement = DictionaryReplacement(circuit_kit.dictionary(model))
    assert len(prefix) > 2
    assert trace(model, replacement, row).skip_tokens == len(prefix)
    assert trace(model, replacement, Row((prefix[0], 8, 23, 9), 4)).skip_tokens == 1
