"""Every path that a card takes, against the CPU's numbers and against what it cannot do without; in minutes.

    python benchmarks/gpu.py [--device cuda|cpu] [--only NAME ...] [--out FILE.json]

Without a card it says so and ends well. `--device cpu` runs the same script at a tiny size, which shows that
it works and measures nothing worth keeping. Each section gives seconds, a ratio, and how far its numbers are
from float32 or from the CPU; one that fails is named, and the others go on. A card's name, its memory and the
versions stand beside the figures.

1. half: rows of unlike lengths side by side in half precision, against float32, and each row alone.
2. kernels: choosing and decoding latents with their gradients, against float64 on the CPU.
3. decoding: tokens a second, plain, with an edit a row, and read at every layer (an extraction).
4. training: a step of a sparse autoencoder, in encoder products.
5. reading: a pass's share of the card's rate in large products, which `mindscope plan` assumes to be 0.4.
6. losses: the peak memory of an evaluation over a vocabulary of 256,000.
7. graph: a prompt of 2,000 tokens, its seconds and memory.
"""

import argparse
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.circuits import TraceConfig, trace
from mindscope.dictionaries import Coder, Dictionary, DictionaryConfig, DictionaryTrainer, Site, Wiring
from mindscope.dictionaries.evaluation.recovered import loss_sums
from mindscope.dictionaries.training import kernels
from mindscope.jobs.planning import CoderSize
from mindscope.jobs.planning.probes import build_random_replacement
from mindscope.models import Edit, Mean, Model, Read, Row, Sampling
from mindscope.personas import rollout_reads

Figures = dict[str, float]


@dataclass(frozen=True)
class BenchSize:
    """How large everything is."""

    layers: int
    width: int
    vocabulary: int
    rows: int
    answer: int
    latents: int
    batch: int
    prompt: int
    nodes: int
    large_vocabulary: int


CARD = BenchSize(16, 1024, 32_000, 64, 64, 16_384, 8192, 2000, 1000, 256_000)
TINY = BenchSize(2, 64, 256, 4, 4, 256, 64, 40, 20, 4096)


@dataclass(frozen=True)
class DeviceBench:
    """The device, the sizes, and a clock that waits for the device."""

    device: torch.device
    size: BenchSize

    @property
    def half(self) -> torch.dtype:
        return torch.bfloat16

    def model(self, dtype: torch.dtype, *, vocabulary: int | None = None, layers: int | None = None) -> Model:
        """A random Llama, the same for the same arguments."""
        torch.manual_seed(0)
        size = self.size
        config = LlamaConfig(
            vocab_size=vocabulary or size.vocabulary,
            hidden_size=size.width,
            intermediate_size=4 * size.width,
            num_hidden_layers=layers or size.layers,
            num_attention_heads=max(2, size.width // 64),
            num_key_value_heads=max(2, size.width // 64),
            max_position_embeddings=8192,
            bos_token_id=1,
            eos_token_id=None,
        )
        hf: Any = LlamaForCausalLM(config)
        hf = hf.to(dtype).to(self.device).eval()
        hf.generation_config.eos_token_id = None
        words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
        return Model.wrap(hf, words, name="random Llama")

    def rows(self, count: int, shortest: int, longest: int) -> list[Row]:
        draw = torch.Generator().manual_seed(1)
        lengths = torch.randint(shortest, longest + 1, (count,), generator=draw).tolist()
        ids = [torch.randint(2, self.size.vocabulary, (n,), generator=draw).tolist() for n in lengths]
        return [Row(tuple(row), len(row)) for row in ids]

    def seconds(self, work: Callable[[], object], times: int = 3) -> float:
        """The shortest of a few runs, after one to warm up."""
        work()
        taken = []
        for _ in range(times):
            self.wait()
            began = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - began)
        return min(taken)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak(self, work: Callable[[], object]) -> float:
        """Megabytes of the card that some work takes at most, above what there was; 0 on a CPU."""
        if self.device.type != "cuda":
            work()
            return 0.0
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 1e6


def measure_half(bench: DeviceBench) -> Figures:
    rows = bench.rows(bench.size.rows, 3, 40)
    full, half = bench.model(torch.float32), bench.model(bench.half)
    exact, rough = full.next_logits(rows).float().cpu(), half.next_logits(rows).float().cpu()
    alone = torch.cat([half.next_logits([row]) for row in rows[:8]]).float().cpu()
    exact_alone = torch.cat([full.next_logits([row]) for row in rows[:8]]).float().cpu()
    return {
        "half_against_float32": _off(rough, exact),
        "half_batch_against_alone": _off(rough[:8], alone),
        "float32_batch_against_alone": _off(exact[:8], exact_alone),
        "same_next_token": float((rough.argmax(-1) == exact.argmax(-1)).float().mean()),
    }


def measure_kernels(bench: DeviceBench) -> Figures:
    size, draw = bench.size, torch.Generator().manual_seed(2)
    x = torch.randn(size.batch, size.width, generator=draw)
    W_enc = torch.randn(size.latents, size.width, generator=draw) / size.width**0.5
    W_dec = torch.randn(size.latents, size.width, generator=draw) / size.latents**0.5
    coder = Coder(W_enc, torch.full((size.latents,), -2.5), W_dec)
    own = coder.to(bench.device)
    own_x = x.to(bench.device)
    code, expected = own.encode(own_x, "relu", None), coder.encode(x, "relu", None)
    few = slice(0, min(64, size.batch))
    dense = (x[few].double() @ W_enc.double().T - 2.5).relu() @ W_dec.double()
    written = own.decode(code)[few].double().cpu()
    weights = own.W_dec.clone().requires_grad_()
    kernels.decode(code, weights).square().sum().backward()
    oracle = W_dec.clone().requires_grad_()
    kernels.decode(expected, oracle).square().sum().backward()
    assert weights.grad is not None
    assert oracle.grad is not None
    product = bench.seconds(lambda: own.preactivations(own_x))
    return {
        "decoded_against_float64": _off(written, dense),
        "gradients_against_cpu": _off(weights.grad.cpu(), oracle.grad),
        "active_as_on_cpu": len(code.values) / max(1, len(expected.values)),
        "encode_in_products": bench.seconds(lambda: own.encode(own_x, "relu", None)) / product,
        "topk_in_products": bench.seconds(lambda: own.encode(own_x, "topk", min(32, size.latents))) / product,
        "decode_in_products": bench.seconds(lambda: own.decode(code)) / product,
        "product_seconds": product,
    }


def measure_decoding(bench: DeviceBench) -> Figures:
    model, rows = bench.model(bench.half), bench.rows(bench.size.rows, 20, 60)
    sampling = Sampling(temperature=0.0, max_new_tokens=bench.size.answer)
    draw = torch.Generator().manual_seed(3)
    middle = f"resid_post.{bench.size.layers // 2}"
    edits = [[Edit(middle, "add", torch.randn(bench.size.width, generator=draw))] for _ in rows]
    reads = rollout_reads(model)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: model.generate(rows, sampling),
        "edits": lambda: model.generate(rows, sampling, edits=edits),
        "extraction": lambda: model.generate(rows, sampling, reads=reads),
    }
    seconds = {name: bench.seconds(way, 2) for name, way in ways.items()}
    tokens = len(rows) * bench.size.answer
    alone = model.generate(rows[:2], sampling, edits=edits[:2])
    beside = model.generate(rows, sampling, edits=edits)[:2]
    same = [a.row.answer == b.row.answer for a, b in zip(alone, beside, strict=True)]
    return {f"{name}_tokens_a_second": tokens / taken for name, taken in seconds.items()} | {
        "edits_against_plain": seconds["edits"] / seconds["plain"],
        "extraction_against_plain": seconds["extraction"] / seconds["plain"],
        "step_milliseconds": 1e3 * seconds["plain"] / bench.size.answer,
        "edited_answers_alike_in_a_batch": sum(same) / len(same),
    }


def measure_training(bench: DeviceBench) -> Figures:
    size, draw = bench.size, torch.Generator().manual_seed(4)
    x = torch.randn(size.batch, size.width, generator=draw).to(bench.device)
    weight = torch.randn(size.latents, size.width, device=bench.device)
    product = bench.seconds(lambda: x @ weight.T)
    figures: Figures = {"product_seconds": product}
    for method in ("topk", "batchtopk", "jumprelu"):
        config = DictionaryConfig(name="x", reads=("x",), n_latents=size.latents, k=16, method=method)
        site = Site("x", size.width)
        trainer = DictionaryTrainer(config, [site], [site], steps=1000, device=bench.device)
        trainer.begin(x, x)
        figures[f"{method}_step_in_products"] = bench.seconds(lambda own=trainer: own.step(x)) / product
    return figures


def measure_reading(bench: DeviceBench) -> Figures:
    model = bench.model(bench.half)
    rows = bench.rows(bench.size.rows, 256, 256)
    reads = {"x": Read(f"resid_post.{bench.size.layers - 1}", Mean("all"))}
    seconds = bench.seconds(lambda: model.read(rows, reads))
    tokens = sum(map(len, rows))
    weights = sum(p.numel() for p in model.hf.model.layers.parameters())
    square = torch.randn(4096 if bench.device.type == "cuda" else 256, device=bench.device)[:, None]
    square = square.expand(-1, len(square)).to(bench.half).contiguous()
    rate = 2 * len(square) ** 3 / bench.seconds(lambda: square @ square)
    return {
        "tokens_a_second": tokens / seconds,
        "largest_product_rate": rate,
        "share_of_product_rate": 2 * weights * tokens / seconds / rate,
    }


def measure_losses(bench: DeviceBench) -> Figures:
    vocabulary = bench.size.large_vocabulary
    model = bench.model(bench.half, vocabulary=vocabulary, layers=2)
    site, draw = Site("resid_post.0", bench.size.width), torch.Generator().manual_seed(5)
    latents = 64
    coder = Coder(
        torch.randn(latents, site.width, generator=draw),
        torch.zeros(latents),
        torch.randn(latents, site.width, generator=draw) / latents,
    )
    dictionary = Dictionary(
        (site,), (site,), (Wiring((0,), (0,), latents),), (coder,), torch.zeros(site.width), "relu"
    ).to(bench.device)
    rows = bench.rows(max(1, bench.size.batch // 256), 256, 256)
    keep = torch.ones(len(rows), 256, dtype=torch.bool)
    means = torch.zeros(site.width)
    return {
        "peak_megabytes": bench.peak(lambda: loss_sums(model, dictionary, rows, keep, means)),
        "megabytes_of_the_logits": 4e-6 * sum(map(len, rows)) * vocabulary,
    }


def measure_graph(bench: DeviceBench) -> Figures:
    size, model = bench.size, bench.model(torch.float32)
    coder = CoderSize(size.width, size.latents // 2, max(8.0, size.latents * 0.003), size.width)
    replacement = build_random_replacement(model, coder)
    (row,) = bench.rows(1, size.prompt, size.prompt)
    graphs = []
    config = TraceConfig(max_features=size.nodes, skip_tokens=1)
    began = time.perf_counter()
    peak = bench.peak(lambda: graphs.append(trace(model, replacement, row, config)))
    bench.wait()
    graph = graphs[0]
    gap = graph.edges.sum(1) + graph.unselected + graph.biases - graph.preactivations
    return {
        "tokens": size.prompt,
        "nodes": graph.n_features,
        "active_features": graph.metadata["active_features"],
        "seconds": time.perf_counter() - began,
        "peak_megabytes": peak,
        "largest_gap_of_a_sum": float(gap.abs().max()),
    }


SECTIONS: dict[str, Callable[[DeviceBench], Figures]] = {
    "half": measure_half,
    "kernels": measure_kernels,
    "decoding": measure_decoding,
    "training": measure_training,
    "reading": measure_reading,
    "losses": measure_losses,
    "graph": measure_graph,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS))
    parser.add_argument("--out", type=Path, help="a file for the figures as JSON")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no card here: nothing was measured; `--device cpu` shows that the script works")
        return
    device = torch.device(options.device)
    bench = DeviceBench(device, CARD if device.type == "cuda" else TINY)
    result: dict[str, object] = {"device": _describe(device), "figures": {}}
    failed = []
    for name in options.only or SECTIONS:
        began = time.perf_counter()
        try:
            figures = SECTIONS[name](bench)
        except Exception:  # noqa: BLE001 - one path that fails must not hide the others
            failed.append(name)
            print(f"{name} FAILED\n{traceback.format_exc()}", file=sys.stderr)
            continue
        result["figures"][name] = figures  # type: ignore[index]
        print(f"{name} ({time.perf_counter() - began:.1f} s)")
        for label, value in figures.items():
            print(f"  {label.replace('_', ' '):36} {value:14.5g}")
        if device.type == "cuda":
            torch.cuda.empty_cache()
    print(json.dumps(result | {"failed": failed}))
    if options.out is not None:
        options.out.write_text(json.dumps(result | {"failed": failed}, indent=2) + "\n")
    sys.exit(1 if failed else 0)


def _describe(device: torch.device) -> dict[str, object]:
    about: dict[str, object] = {"torch": torch.__version__, "python": platform.python_version()}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        tf32 = torch.backends.cuda.matmul.allow_tf32
        return about | {"name": card.name, "memory_gib": card.total_memory / 2**30, "tf32": tf32}
    return about | {"name": "cpu, tiny sizes: no measurement"}


def _off(values: Tensor, expected: Tensor) -> float:
    """The largest difference, in units of the largest value."""
    return float((values.double() - expected.double()).abs().max() / expected.double().abs().max())


if __name__ == "__main__":
    main()
