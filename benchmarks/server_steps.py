"""What watching and steering add to a step of the running batch, measured step by step.

    python benchmarks/server_steps.py                      # the organism
    python benchmarks/server_steps.py --model NAME --tokens 32 --rounds 2

A batch of every arm is open at once, and the arms take turns step by step in random order, so that what else
runs on the machine falls on all of them alike. Compared are the thread's own processor seconds of steps with
the same number: the median difference to the plain batch, its 95 % interval over steps (bootstrap), and what
that leaves of the throughput. A second plain batch shows what no difference looks like.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import server_kit

from mindscope.features import Direction, FeatureSet
from mindscope.models import DecodingBatch, Edit, GenerationRequest, Model, Sampling, load
from mindscope.monitoring import LiveMonitor, Policy

TRAITS, VECTORS = 7, 16
ARMS = (
    "plain",
    "plain again",
    "monitored",
    "monitored and streamed",
    "held against thresholds",
    "steered",
    "steered and measured",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model)
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    order, shuffled = list(ARMS), random.Random(0)
    for _ in range(options.rounds):
        batches = {arm: open_batch(model, arm, options.rows, options.tokens) for arm in ARMS}
        for _ in range(options.tokens - 3):
            shuffled.shuffle(order)
            for arm in order:
                begin = time.thread_time()
                batches[arm].step()
                seconds[arm].append(time.thread_time() - begin)
    plain = np.array(seconds["plain"])
    print(
        f"{options.model}, {model.dtype}, {options.rows} rows; a plain step: {1e3 * np.median(plain):.2f} ms"
    )
    for arm in ARMS[1:]:
        added = np.array(seconds[arm]) - plain
        draws = np.random.default_rng(0).choice(added, (1000, len(added)))
        low, high = np.percentile(np.median(draws, 1), [2.5, 97.5])
        middle, base = np.median(added), np.median(plain)
        print(
            f"{arm:>24}: {1e3 * middle:+.3f} ms ({1e3 * low:+.3f} to {1e3 * high:+.3f}), throughput "
            f"{base / (base + middle):.3f} ({base / (base + high):.3f} to {base / (base + low):.3f})"
        )


def open_batch(model: Model, arm: str, n_rows: int, n_tokens: int) -> DecodingBatch:
    """A batch whose prompts have passed."""
    generator = torch.Generator().manual_seed(0)
    address = f"resid_post.{model.n_layers // 2}"
    vectors = 0.02 * torch.randn(VECTORS, model.d_model, generator=generator)
    traits = torch.randn(TRAITS, model.d_model, generator=generator)
    features = FeatureSet(
        [Direction(f"trait{i}", address, trait, model.fingerprint) for i, trait in enumerate(traits)]
    )
    thresholds = server_kit.thresholds(features, 1e9) if "thresholds" in arm else None
    watched = "monitored" in arm or thresholds is not None
    monitor = LiveMonitor(features, thresholds)
    batch = DecodingBatch(model, slots=n_rows, eos_ids=frozenset())
    for i in range(n_rows):
        if watched:
            monitor.watch(i, Policy("log"), live="streamed" in arm)
        edit = Edit(address, "add", vectors[i % VECTORS], 1.0, "all")
        batch.admit(
            GenerationRequest(
                model.chat([{"role": "user", "content": f"Tell me all about number {i}, and why."}]),
                Sampling(seed=i, max_new_tokens=n_tokens),
                index=i,
                edits=(edit,) if "steered" in arm else (),
                controller=monitor if watched else None,
                measures_edits="measured" in arm,
            )
        )
    batch.step()
    return batch


if __name__ == "__main__":
    main()
