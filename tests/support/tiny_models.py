"""Tiny random models of every supported family, and a tokenizer of sixty words."""

import torch
from tiny_families import (
    ALTUP,
    DELTA_NET,
    FAMILIES,
    HYBRIDS,
    LLAMA,
    MORE,
    MULTIMODAL,
    RECURRENT,
    SMALL,
    Family,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedTokenizerFast,
)

from mindscope.models import Model, Row

WORDS = 60
SOUND = [*FAMILIES, *MORE, *HYBRIDS, *RECURRENT, *MULTIMODAL]
"""Families with which all of reading, writing and generating is right."""


REFUSED = [
    Family(
        "minimax",
        *LLAMA,
        {
            "layer_types": DELTA_NET["layer_types"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "block_size": 4,
        },
    ),
    Family("recurrent_gemma", *LLAMA, {"attention_window_size": 4, "lru_width": 32, "conv1d_width": 3}),
    Family("rwkv", "rwkv.blocks", "rwkv.embeddings", {"attention_hidden_size": 32}),
]
"""Families that keep a state of a kind of their own."""
TRIED = [*SOUND, ALTUP, *REFUSED]


def build_named(name: str) -> Model:
    """The model of a family of `FAMILIES`."""
    return build(next(family for family in FAMILIES if family.name == name))


def build(family: Family, **extra) -> Model:
    """A tiny model with weights far from zero, so that a mistake shows in the outputs."""
    torch.manual_seed(7)
    options = {key: value for key, value in SMALL.items() if key not in family.without} | family.extra | extra
    make = CONFIG_MAPPING[family.name]
    config = make(**options) if family.around is None else make(text_config=options, **family.around)
    known = type(config) in AutoModelForCausalLM._model_mapping
    hf = (AutoModelForCausalLM if known else AutoModelForImageTextToText).from_config(config)
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return Model.wrap(hf.float().eval(), tokenizer(), name=f"tiny {family.name}")


def tokenizer() -> PreTrainedTokenizerFast:
    words = {f"w{i}": i for i in range(WORDS)} | {"<s>": 60, "</s>": 61, "<pad>": 62, "<unk>": 63}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def rows() -> list[Row]:
    """Rows of unlike lengths, one with an empty answer."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(4, 6), (9, 3), (1, 5), (12, 0), (2, 11)]
    return [
        Row(tuple(torch.randint(0, WORDS, (prompt + answer,), generator=generator).tolist()), prompt)
        for prompt, answer in shapes
    ]


def hooks_on(model: Model) -> int:
    """How many hooks of any kind hang on a model."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.hf.modules()
    )
