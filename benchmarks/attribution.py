"""What tracing a graph costs: against the products it cannot do without, and against circuit-tracer.

A random Llama (12 layers, 512 wide) with random transcoders of 8,192 features a layer, or a cross-layer
transcoder, of which about 0.6 % are active; 2,000 features become nodes. Seconds are CPU seconds of this
process from prompt to graph, the frozen pass included. The floor is the time of the matrix products that
any method by explicit rows needs, at the speed this machine multiplies two square matrices: for each row,
and each attention layer below it, its output and value maps over the positions it can reach and half a
pattern, and for each source it can reach a product of the model's width. `--peer PYTHON` runs circuit-
tracer on the same model, transcoders and prompt in an environment of its own (see `attribution_peer.py`),
at several batch sizes, and compares the edges between features that both chose.
"""

import argparse
import ctypes
import json
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from common import Meter, arguments, median, show
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.circuits import (
    AttributionGraph,
    DictionaryReplacement,
    LocalReplacementModel,
    TraceConfig,
    trace,
)
from mindscope.dictionaries import Coder, Dictionary, Site, Wiring
from mindscope.models import Model, Row

LAYERS, WIDTH, HEADS, KV_HEADS, VOCABULARY = 12, 512, 8, 8, 4096
ACTIVE_AT = 2.5
"""Pre-activations are standard normal; this is subtracted: 0.62 % of them stay positive."""


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[32], help="tokens of the prompts")
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--latents", type=int, default=8192, help="features a layer")
    parser.add_argument("--kinds", nargs="+", choices=["transcoders", "clt"], default=["transcoders", "clt"])
    parser.add_argument("--rank-every", type=int, default=2048, help="0: exact selection")
    parser.add_argument("--peer", help="a Python that has circuit-tracer")
    parser.add_argument("--peer-batches", type=int, nargs="+", default=[4, 512])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, peak = random_llama(max(options.lengths)), gemm_peak()
    config = TraceConfig(max_features=options.nodes, rank_every=options.rank_every or None)
    for kind in options.kinds:
        dictionary = random_dictionary(model, options.latents, cross=kind == "clt")
        for length in options.lengths:
            result: dict[str, float | str] = {"kind": kind, "tokens": length, "gemm_peak_gflops": peak / 1e9}
            row = prompt(length)
            result |= measured(model, dictionary, row, config, options.rounds, peak)
            if options.peer and kind == "transcoders":
                for batch in options.peer_batches:
                    result |= against(options, model, dictionary, row, config, batch, result["seconds"])
            show(f"{kind}, {length} tokens, {options.nodes} nodes", result, as_json=options.json)


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


def random_dictionary(model: Model, latents: int, *, cross: bool) -> Dictionary:
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


def prompt(length: int) -> Row:
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(2, VOCABULARY, (length - 1,), generator=draw).tolist()
    return Row((1, *ids), length)


def gemm_peak(size: int = 2048) -> float:
    """Operations a second of a product of two square matrices, the best of some."""
    x, y = torch.randn(2, size, size)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        x @ y
        best = min(best, time.process_time() - start)
    return 2 * size**3 / best * torch.get_num_threads()


def measured(
    model: Model, dictionary: Dictionary, row: Row, config: TraceConfig, rounds: int, peak: float
) -> dict[str, float | str]:
    replacement = DictionaryReplacement(dictionary)
    graphs: list[AttributionGraph] = []
    trace(model, replacement, Row(row.ids[:4], 4), TraceConfig(max_features=8))  # what is found once a model
    meters = []
    for _ in range(rounds):
        graphs.clear()
        ctypes.CDLL(None).malloc_trim(0)  # so that memory freed before does not hide what is used now
        meters.append(Meter(lambda: graphs.append(trace(model, replacement, row, config))))
    floor = operations(replacement.freeze(model, row), graphs[0]) / peak * torch.get_num_threads()
    seconds = median([meter.seconds for meter in meters])
    gap = graphs[0].edges.sum(1) + graphs[0].unselected + graphs[0].biases - graphs[0].preactivations
    return {
        "active_features": graphs[0].metadata["active_features"],
        "seconds": seconds,
        "floor_seconds": floor,
        "share_of_gemm_peak": floor / seconds,
        "peak_megabytes_above_base": max(meter.megabytes for meter in meters),
        "largest_gap_of_a_sum": float(gap.abs().max()),
    }


def against(
    options: argparse.Namespace,
    model: Model,
    dictionary: Dictionary,
    row: Row,
    config: TraceConfig,
    batch: int,
    ours: float,
) -> dict[str, float | str]:
    """What the peer takes, in our units, and the largest difference of an edge that both have."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.hf.save_pretrained(folder / "model")
        model.tokenizer.save_pretrained(folder / "model")
        for layer, coder in enumerate(dictionary.coders):
            save_file(coder.tensors(), folder / f"layer_{layer}.safetensors")
        settings = {
            "folder": name,
            "threads": options.threads,
            "ids": row.ids,
            "batch": batch,
            "nodes": config.max_features,
        }
        script = Path(__file__).with_name("attribution_peer.py")
        command = [options.peer, str(script), json.dumps(settings)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        told, found = json.loads(said.splitlines()[-1]), load_file(folder / "peer.safetensors")
    interval = TraceConfig(max_features=config.max_features, rank_every=4 * batch)  # its own schedule
    graph = trace(model, DictionaryReplacement(dictionary), row, interval)
    theirs = {tuple(one): at for at, one in enumerate(found["features"].tolist())}
    both = [
        (at, theirs[tuple(one)]) for at, one in enumerate(graph.features.tolist()) if tuple(one) in theirs
    ]
    here, there = (torch.tensor(side) for side in zip(*both, strict=True))
    off = graph.edges[here][:, here] - found["adjacency"][there][:, there]
    return {
        f"peer_seconds_batch_{batch}": told["seconds"],
        f"peer_over_ours_batch_{batch}": told["seconds"] / ours,
        f"peer_megabytes_batch_{batch}": told["megabytes"],
        f"same_features_batch_{batch}": len(both) / len(theirs),
        f"largest_edge_difference_batch_{batch}": float(off.abs().max()),
    }


def operations(frozen: LocalReplacementModel, graph: AttributionGraph) -> float:
    """The floor: operations of the rows of a graph's nodes, as the head of this file says."""
    reach = torch.zeros(
        LAYERS + 1, frozen.n_positions + 1
    )  # sources that write below a layer, up to a position
    for at, written in enumerate(frozen.feature_writes):
        reach[at + 1 :, 1:] += torch.tensor(written.starts[1:])
    n_targets = len(graph.targets)
    layers = torch.cat([graph.features[:, 0], torch.full((n_targets,), LAYERS - 1)])
    crossed = layers + 1
    tokens = torch.cat([graph.features[:, 1], torch.full((n_targets,), frozen.n_positions - 1)]) + 1
    below = torch.cat([graph.features[:, 0], torch.full((n_targets,), LAYERS)])
    maps = 2 * tokens * WIDTH * (HEADS + KV_HEADS) * (WIDTH // HEADS)
    mixing = tokens**2 * HEADS * (WIDTH // HEADS)
    scores = 2 * WIDTH * (reach[below, tokens] + below * tokens)
    return float((crossed * (maps + mixing) + scores).sum())


if __name__ == "__main__":
    main()
