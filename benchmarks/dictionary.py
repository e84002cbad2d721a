"""What a training step of a dictionary and reading activations cost, as ratios to what cannot be saved.

A step is measured against the encoder's matrix product alone, which every method must make: forward, loss,
gradients, Adam, decoder norms and dead-latent counts are all in the step. Reading is measured against a bare
forward pass that a hook ends at the same layer. Rounds are interleaved; medians of CPU seconds are compared.

    python benchmarks/dictionary.py [--bfloat16] [--rounds 9] [--peers PYTHON] [--json]

`--peers` is the Python of another environment, with dictionary_learning, whose own training step is then
measured in the same units.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from common import median, open_model, show

from mindscope.dictionaries import DictionaryConfig, ModelSource, Site
from mindscope.dictionaries.learner import Learner
from mindscope.dictionaries.sources import START
from mindscope.models import Row

SIZES = {"small": (256, 4096, 32, 4096), "large": (768, 24_576, 32, 2048)}
"""Width, latents, k, batch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="choose latents by bfloat16 products")
    parser.add_argument("--only", choices=["steps", "reading"])
    parser.add_argument("--small", action="store_true", help="without the large size")
    parser.add_argument("--peers", type=Path, help="the Python of an environment with the peers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result: dict[str, float | str] = {}
    sizes = {name: size for name, size in SIZES.items() if not (options.small and name == "large")}
    if options.only != "reading":
        for name, size in sizes.items():
            result |= steps(name, size, options)
    if options.only != "steps":
        result |= reading(options)
    if options.peers:
        result |= peers(options, sizes)
    show(
        "ratios to the encoder product (steps) and to a bare forward (reading)", result, as_json=options.json
    )


def steps(name: str, size: tuple[int, int, int, int], options: argparse.Namespace) -> dict[str, float | str]:
    d, latents, k, batch = size
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randn(batch, d, generator=draw) for _ in range(4)]
    weight, bias, out = torch.randn(latents, d), torch.zeros(latents), torch.empty(batch, latents)
    learners = {}
    for method in ("topk", "batchtopk"):
        config = DictionaryConfig(name="x", reads=("x",), n_latents=latents, k=k, method=method)
        learner = Learner(config, [Site("x", d)], [Site("x", d)], steps=10_000, bfloat16=options.bfloat16)
        learner.begin(batches[0], batches[0])
        learners[method] = learner
    at = iter(range(10**9))
    ways = {"product": lambda: torch.addmm(bias, batches[0], weight.T, out=out)}
    ways |= {method: (lambda one=one: one.step(batches[next(at) % 4])) for method, one in learners.items()}
    seconds = interleaved(ways, options.rounds)
    found = {f"{name}_product_ms": 1e3 * median(seconds["product"])}
    return found | {f"{name}_{method}_step": ratio(seconds, method, "product") for method in learners}


def reading(options: argparse.Namespace) -> dict[str, float | str]:
    """The activations of 8,192 tokens at the middle layer, in rows of 128."""
    model = open_model(argparse.Namespace(model=None, dtype="float32", threads=options.threads))
    layer, vocabulary = model.n_layers // 2 - 1, model.engine.vocab_size
    ids = torch.randint(0, vocabulary, (64, 128), generator=torch.Generator().manual_seed(1))
    rows = [Row(tuple(line), 128) for line in ids.tolist()]
    source = ModelSource([model], (f"resid_post.{layer}",), lambda start: iter(rows[start:]))
    buffer = torch.empty(ids.numel(), model.d_model)
    size = model.pass_tokens // 128

    class Enough(Exception):  # noqa: N818
        pass

    def stop(_module: object, _inputs: object, output: torch.Tensor | tuple) -> None:
        kept.append(output if isinstance(output, torch.Tensor) else output[0])
        raise Enough

    kept: list[torch.Tensor] = []

    def bare() -> None:
        kept.clear()
        for part in ids.split(size):
            handle = model.hf.model.layers[layer].register_forward_hook(stop)
            try:
                with torch.inference_mode():
                    model.hf.model(input_ids=part, use_cache=False)
            except Enough:
                handle.remove()

    seconds = interleaved({"bare": bare, "ours": lambda: source.fill(buffer, START)}, options.rounds)
    assert torch.allclose(torch.cat(kept).flatten(0, 1), buffer, atol=1e-4)
    return {"bare_forward_ms": 1e3 * median(seconds["bare"]), "reading": ratio(seconds, "ours", "bare")}


def peers(options: argparse.Namespace, sizes: Mapping[str, tuple]) -> dict[str, float | str]:
    script = Path(__file__).with_name("dictionary_peers.py")
    command = [str(options.peers), str(script), json.dumps(sizes), str(options.rounds), str(options.threads)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"the peers did not run:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each way in each round, after two rounds to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number > 1:
                seconds[name].append(time.process_time() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, base: str) -> float:
    return median([one / other for one, other in zip(seconds[name], seconds[base], strict=True)])


if __name__ == "__main__":
    main()
