"""What a training step of a crosscoder between two models costs, and how well it finds what only one has.

The step is measured against the matrix products of two encoders of one model each, which the crosscoder's
product equals: forward, loss, gradients, Adam and dead-latent counts are all in the step. Rounds are
interleaved; medians of CPU seconds are compared.

`--synthetic` trains crosscoders on pairs of made-up models whose shared, exclusive, rotated and weakened
atoms are known, and counts which latents decoder norms call the tuned model's own, before and after latent
scaling.

`--peers` is the Python of another environment with a dictionary_learning that has crosscoders (that of
science-of-finetuning), whose own steps are measured in the same units.

    python benchmarks/diff.py [--bfloat16] [--rounds 9] [--peers PYTHON] [--json]
    python benchmarks/diff.py --synthetic [--seeds 0,1,2]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from clock import interleaved, ratio, step_data
from common import median, show

from mindscope.dictionaries import DictionaryConfig, Site, TrainConfig, train
from mindscope.dictionaries.training.learner import DictionaryTrainer
from mindscope.diffing import PairConfig, SyntheticPair, scale_latents, score_exclusive
from mindscope.store import Run

SIZES = {"small": (256, 4096, 32, 4096), "large": (768, 24_576, 32, 2048)}
"""Width of one model, latents, k, batch."""
HELD_OUT = 16_384
"""Tokens that latent scaling sees."""
ARMS: dict[str, dict[str, Any]] = {
    "batchtopk": {"method": "batchtopk"},
    "batchtopk, shared and delta": {"method": "batchtopk", "shared_latents": 0.5, "delta": 1.0},
    "l1": {"method": "relu", "sparsity": 2.0},
    "l1, shared": {"method": "relu", "sparsity": 2.0, "shared_latents": 0.5},
}
"""Crosscoders that are trained on the same tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="choose latents by bfloat16 products")
    parser.add_argument("--small", action="store_true", help="without the large size")
    parser.add_argument("--peers", type=Path, help="the Python of an environment with dictionary_learning")
    parser.add_argument("--synthetic", action="store_true", help="recovery of known atoms instead of speed")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.synthetic:
        for seed in options.seeds.split(","):
            for row in recovery(int(seed), options.steps):
                print(json.dumps(row), flush=True)
        return
    result: dict[str, float | str] = {}
    for name, size in SIZES.items():
        if not (options.small and name == "large"):
            result |= steps(name, size, options)
            if options.peers:
                result |= peer_steps(name, size, options)
    show("ratios to the products of two encoders", result, as_json=options.json)


def steps(name: str, size: tuple[int, int, int, int], options: argparse.Namespace) -> dict[str, float | str]:
    """The cost of a step, without and with designated shared latents and the delta loss."""
    width, latents, k, batch = size
    batches, product = step_data((2 * width, latents, k, batch))  # two encoders side by side
    sites = [Site("x", width, "base"), Site("x", width, "tuned")]
    reads = ("base:x", "tuned:x")
    arms: dict[str, dict[str, Any]] = {
        "crosscoder": {},
        "l1": {"method": "relu", "sparsity": 2.0},
        "with_shared_and_delta": {"shared_latents": 0.5, "delta": 1.0},
    }
    learners: dict[str, DictionaryTrainer] = {}
    first = next(batches)
    for arm, settings in arms.items():
        config = DictionaryConfig.model_validate(
            {"name": "x", "kind": "crosscoder", "reads": reads, "n_latents": latents, "k": k, **settings}
        )
        learners[arm] = DictionaryTrainer(config, sites, sites, steps=10_000, bfloat16=options.bfloat16)
        learners[arm].begin(first, first)
    ways = {"products": product}
    ways |= {arm: (lambda one=one: one.step(next(batches))) for arm, one in learners.items()}
    seconds = interleaved(ways, options.rounds)
    shown: dict[str, float | str] = {f"{name}_products_ms": 1e3 * median(seconds["products"])}
    return shown | {f"{name}_{arm}_step": ratio(seconds, arm, "products") for arm in learners}


def peer_steps(
    name: str, size: tuple[int, int, int, int], options: argparse.Namespace
) -> dict[str, float | str]:
    """The same of dictionary_learning, in its own environment."""
    width, *rest = size
    settings = {
        "sizes": {name: (2 * width, *rest)},
        "rounds": options.rounds,
        "threads": options.threads,
        "crosscoders": True,
    }
    script = Path(__file__).with_name("dictionary_peers.py")
    ran = subprocess.run(
        [str(options.peers), str(script), json.dumps(settings)], capture_output=True, text=True
    )
    if ran.returncode:
        sys.exit(f"the peer did not run:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def recovery(seed: int, steps: int) -> list[dict[str, Any]]:
    """What each crosscoder calls the tuned model's own, against the atoms."""
    pair = SyntheticPair(PairConfig(seed=seed))
    n_latents = round(1.5 * len(pair.kinds))
    shared = {"kind": "crosscoder", "reads": pair.names, "n_latents": n_latents, "k": 4}
    dictionaries = [
        {"name": f"arm{number}", "learning_rate": 1e-3, "dead_tokens": 50_000, **shared, **arm}
        for number, arm in enumerate(ARMS.values())
    ]
    config = TrainConfig.model_validate(
        {
            "dictionaries": dictionaries,
            "steps": steps,
            "batch_tokens": 512,
            "buffer_batches": 8,
            "keep_outliers": True,
            "seed": seed,
        }
    )
    with tempfile.TemporaryDirectory() as folder, Run.open(Path(folder) / "run", kind="x", config={}) as run:
        trained = train(pair, run, config)
    x = pair.batch(HELD_OUT)
    rows: list[dict[str, Any]] = []
    for arm, crosscoder in zip(ARMS, trained.values(), strict=True):
        code = crosscoder.encode(x)
        error = (x - crosscoder.decode(code)).square().sum() / (x - x.mean(0)).square().sum()
        scaling = scale_latents(crosscoder, x.split(4096), "tuned")
        claimed = score_exclusive(pair, crosscoder, scaling.claimed)
        scaled = score_exclusive(pair, crosscoder, scaling.exclusive)
        rows.append(
            {
                "seed": seed,
                "arm": arm,
                "explained_variance": round(1 - float(error), 4),
                "l0": round(float(code.l0.float().mean()), 2),
                "claimed": claimed.n_called,
                "precision_by_norms": round(claimed.precision, 3),
                "recall_by_norms": round(claimed.recall, 3),
                "wrong_by_norms": claimed.wrong,
                "shrunk": int(scaling.shrunk.sum()),
                "decoupled": int(scaling.decoupled.sum()),
                "precision": round(scaled.precision, 3),
                "recall": round(scaled.recall, 3),
                "wrong": scaled.wrong,
            }
        )
    return rows


if __name__ == "__main__":
    main()
