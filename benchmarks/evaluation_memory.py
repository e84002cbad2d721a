"""The peak memory of the losses of an evaluation, by the size of the vocabulary.

A random Llama of two layers, 32 wide, whose work is the logits alone; a dictionary of 64 latents is spliced
in. One pass of `--tokens` tokens. The largest resident size is counted above what there was before; beside it
stands what one copy of the logits of the pass takes in float32, of which dense losses need several.

    python benchmarks/evaluation_memory.py [--vocabularies 32768 262144] [--tokens 1024] [--json]
"""

import argparse

import torch
from clock import measure
from common import show
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.dictionaries.evaluation.recovered import loss_sums
from mindscope.models import Model, Row

WIDTH, LATENTS, ROW = 32, 64, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[2**15, 2**18])
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of the pass")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, float | str] = {}
    for vocabulary in options.vocabularies:
        model, dictionary = build(vocabulary)
        rows = [Row(tuple(range(2, ROW + 2)), ROW)] * (options.tokens // ROW)
        keep = torch.ones(len(rows), ROW, dtype=torch.bool)
        loss_sums(model, dictionary, rows[:1], keep[:1], torch.zeros(WIDTH))  # what a first pass builds
        cost = measure(
            lambda: loss_sums(model, dictionary, rows, keep, torch.zeros(WIDTH))  # noqa: B023 - called here
        )
        result[f"megabytes_{vocabulary}"] = cost.megabytes
        result[f"megabytes_of_logits_{vocabulary}"] = 4 * options.tokens * vocabulary / 1e6
        result[f"seconds_{vocabulary}"] = cost.seconds
    show(f"losses of {options.tokens} tokens", result, as_json=options.json)


def build(vocabulary: int) -> tuple[Model, Dictionary]:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    model = Model.wrap(LlamaForCausalLM(config).eval(), words, name=f"random, {vocabulary} words")
    site = Site("resid_post.0", WIDTH)
    coder = Coder(torch.randn(LATENTS, WIDTH), torch.zeros(LATENTS), torch.randn(LATENTS, WIDTH) / LATENTS)
    dictionary = Dictionary(
        (site,), (site,), (Wiring((0,), (0,), LATENTS),), (coder,), torch.zeros(WIDTH), "relu"
    )
    return model, dictionary


if __name__ == "__main__":
    main()
