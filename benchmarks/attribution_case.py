"""What both sides of the attribution benchmark trace: a random Llama, its dictionaries, and a prompt."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.circuits import AttributionGraph, LocalReplacementModel
from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.models import Model, Row

LAYERS, WIDTH, HEADS, KV_HEADS, VOCABULARY = 12, 512, 8, 8, 4096
ACTIVE_AT = 2.5
"""Pre-activations are standard normal; this is subtracted: 0.62 % of them stay positive."""


def random_llama(context: int) -> Model:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=WIDTH // HEADS,
        max_position_embeddings=context,
        bos_token_id=1,
        tie_word_embeddings=False,
    )
    hf = LlamaForCausalLM(config).eval()
    words = {f"w{i}": i for i in range(VOCABULARY)}
    inner = Tokenizer(models.WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="w1")
    return Model.wrap(hf, tokenizer, name="random Llama, 12 x 512")


def random_dictionary(latents: int, *, cross: bool) -> Dictionary:
    """Encoders of unit pre-activation on what a norm gives out; decoders as strong as the MLPs are."""
    draw = torch.Generator().manual_seed(1)
    coders, wirings = [], []
    for layer in range(LAYERS):
        writes = tuple(range(layer, LAYERS)) if cross else (layer,)
        W_enc = torch.randn(latents, WIDTH, generator=draw) / WIDTH**0.5
        W_dec = torch.randn(latents, WIDTH * len(writes), generator=draw) * 0.02 / WIDTH**0.5
        coders.append(Coder(W_enc, torch.full((latents,), -ACTIVE_AT), W_dec))
        wirings.append(Wiring((layer,), writes, latents))
    return Dictionary(
        tuple(Site(f"mlp_in.{layer}", WIDTH) for layer in range(LAYERS)),
        tuple(Site(f"mlp_out.{layer}", WIDTH) for layer in range(LAYERS)),
        tuple(wirings),
        tuple(coders),
        torch.zeros(LAYERS * WIDTH),
        "relu",
    )


def random_prompt(length: int) -> Row:
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(2, VOCABULARY, (length - 1,), generator=draw).tolist()
    return Row((1, *ids), length)


def count_operations(local_model: LocalReplacementModel, graph: AttributionGraph) -> float:
    """What explicit rows of a graph's nodes cannot do without.

    For each row, and each attention layer below it, its output and value maps over the positions it can reach
    and half a pattern; and for each source it can reach a product of the model's width.
    """
    reach = torch.zeros(LAYERS + 1, local_model.n_positions + 1)  # sources below a layer, up to a position
    for layer, writes in enumerate(local_model.feature_writes):
        reach[layer + 1 :, 1:] += torch.tensor(writes.starts[1:])
    n_targets = len(graph.targets)
    crossed = torch.cat([graph.features[:, 0], torch.full((n_targets,), LAYERS - 1)]) + 1
    below = torch.cat([graph.features[:, 0], torch.full((n_targets,), LAYERS)])
    tokens = torch.cat([graph.features[:, 1], torch.full((n_targets,), local_model.n_positions - 1)]) + 1
    maps = 2 * tokens * WIDTH * (HEADS + KV_HEADS) * (WIDTH // HEADS)
    mixing = tokens**2 * HEADS * (WIDTH // HEADS)
    scores = 2 * WIDTH * (reach[below, tokens] + below * tokens)
    return float((crossed * (maps + mixing) + scores).sum())
