"""What a training step of a dictionary and reading activations cost, as ratios to what cannot be saved.

A step is measured against the encoder's matrix product alone, which every method must make: forward, loss,
gradients, Adam, decoder norms and dead-latent counts are all in the step. Reading is measured against a bare
forward pass that a hook ends at the same layer. Rounds are interleaved; medians of CPU seconds are compared.

    python benchmarks/dictionary.py [--bfloat16] [--rounds 9] [--peers PYTHON] [--json]

`--peers` is the Python of another environment, with any of dictionary_learning, SAELens and TransformerLens,
whose own training steps and caches are then measured in the same units.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from clock import bare_forward, interleaved, ratio, step_data
from common import median, open_model, show

from mindscope.dictionaries import DictionaryConfig, ModelSource, Site
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.dictionaries.training.sources import START
from mindscope.models import Model, Row

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
    model = open_model(argparse.Namespace(model=None, dtype="float32", threads=options.threads))
    sizes = {name: size for name, size in SIZES.items() if not (options.small and name == "large")}
    if options.only != "reading":
        for name, size in sizes.items():
            result |= steps(name, size, options)
    if options.only != "steps":
        result |= reading(options, model)
    if options.peers:
        result |= peers(options, {} if options.only == "reading" else sizes, model)
    show(
        "ratios to the encoder product (steps) and to a bare forward (reading)", result, as_json=options.json
    )


def steps(name: str, size: tuple[int, int, int, int], options: argparse.Namespace) -> dict[str, float | str]:
    d, latents, k, _ = size
    batches, product = step_data(size)
    learners, first = {}, next(batches)
    for method in ("topk", "batchtopk"):
        config = DictionaryConfig(name="x", reads=("x",), n_latents=latents, k=k, method=method)
        learner = DictionaryTrainer(
            config, [Site("x", d)], [Site("x", d)], steps=10_000, bfloat16=options.bfloat16
        )
        learner.begin(first, first)
        learners[method] = learner
    ways = {"product": product}
    ways |= {method: (lambda one=one: one.step(next(batches))) for method, one in learners.items()}
    seconds = interleaved(ways, options.rounds)
    found = {f"{name}_product_ms": 1e3 * median(seconds["product"])}
    return found | {f"{name}_{method}_step": ratio(seconds, method, "product") for method in learners}


def reading(options: argparse.Namespace, model: Model) -> dict[str, float | str]:
    """The activations of 8,192 tokens at the middle layer, in rows of 128."""
    layer, ids = middle(model), torch.randint(0, model.engine.vocab_size, (64, 128), generator=draw())
    rows = [Row(tuple(line), 128) for line in ids.tolist()]
    source = ModelSource([model], (f"resid_post.{layer}",), lambda start: iter(rows[start:]))
    buffer = torch.empty(ids.numel(), model.d_model)
    ways = {
        "bare": lambda: bare_forward(model.hf, layer, ids, model.pass_tokens // 128),
        "ours": lambda: source.fill(buffer, START),
    }
    seconds = interleaved(ways, options.rounds)
    assert torch.allclose(ways["bare"](), buffer, atol=1e-4)
    return {"bare_forward_ms": 1e3 * median(seconds["bare"]), "reading": ratio(seconds, "ours", "bare")}


def peers(options: argparse.Namespace, sizes: Mapping[str, tuple], model: Model) -> dict[str, float | str]:
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "steps":
            model.hf.save_pretrained(folder)
        settings = {
            "sizes": sizes,
            "rounds": options.rounds,
            "threads": options.threads,
            "model": None if options.only == "steps" else folder,
            "layer": middle(model),
            "rows": model.pass_tokens // 128,
        }
        script = Path(__file__).with_name("dictionary_peers.py")
        command = [str(options.peers), str(script), json.dumps(settings)]
        ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"the peers did not run:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def middle(model: Model) -> int:
    return model.n_layers // 2 - 1


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(1)


if __name__ == "__main__":
    main()
