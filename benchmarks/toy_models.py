"""Toy models of superposition, trained side by side and in a loop: the time of each, and whether they differ.

Both train the same models on the same samples: a grid of densities by seeds, as the study of superposition
does. The loop is what a notebook has for one model: autograd, and a fused AdamW of its own for each; it runs
on some of the models, and its time is taken times the rest. The time side by side has the drawing of samples
in it, the loop's has not. Seconds are of this process's CPU, so that other work does not count; both sides
take turns.

    python benchmarks/toy_models.py [--models 500] [--features 5] [--hidden 2] [--samples 128] [--json]
"""

import argparse
import json
import statistics
import time

import torch

from mindscope.studies.common import (
    ToyModels,
    ToyTraining,
    feature_dimensionality,
    sparse_uniform,
    train_models,
)

LOOPED = 8
"""Models that the loop trains."""


def train_alone(
    start: torch.Tensor, samples: list[torch.Tensor], training: ToyTraining
) -> tuple[torch.Tensor, float]:
    """One model by autograd, on samples that are there already: its weights, and CPU seconds."""
    W, b = torch.nn.Parameter(start.clone()), torch.nn.Parameter(torch.zeros(start.shape[1]))
    optimiser = torch.optim.AdamW([W, b], weight_decay=training.weight_decay, fused=True)
    began = time.process_time()
    for step, x in enumerate(samples):
        optimiser.param_groups[0]["lr"] = training.rate(step)
        loss = (torch.relu(x @ W.T @ W + b) - x).square().sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return W.detach(), time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--features", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=2)
    parser.add_argument("--samples", type=int, default=128, help="of a step")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    training = ToyTraining(steps=options.steps, samples=options.samples, learning_rate=1e-2, cosine=True)
    variants = options.models // 5
    density = torch.logspace(0, -2, variants).expand(5, -1)
    sample = sparse_uniform(density, options.features, options.samples, seed=0)
    stacked_seconds, looped_seconds, farthest = [], [], 0.0
    for _ in range(options.rounds):
        models = ToyModels.draw(5 * variants, options.hidden, options.features)
        start = models.W.clone()
        began = time.process_time()
        train_models(models, sample, torch.ones(1, options.features), training)
        stacked_seconds.append(time.process_time() - began)  # with the time of drawing samples
        chosen = torch.linspace(0, 5 * variants - 1, LOOPED).long().tolist()
        drawn = [sample(step)[chosen] for step in range(options.steps)]
        total = 0.0
        for place, number in enumerate(chosen):
            own = [x[place].T.contiguous() for x in drawn]
            W, seconds = train_alone(start[number], own, training)
            total += seconds
            farthest = max(farthest, float((W - models.W[number]).abs().max()))
        looped_seconds.append(total / LOOPED * 5 * variants)
    stacked, looped = statistics.median(stacked_seconds), statistics.median(looped_seconds)
    result = {
        "models": 5 * variants,
        "side by side, CPU seconds": round(stacked, 2),
        "in a loop, CPU seconds": round(looped, 2),
        "times": round(looped / stacked, 1),
        "largest difference of a weight": farthest,
        "mean dimensionality": round(float(feature_dimensionality(models.W).mean()), 4),
    }
    print(json.dumps(result, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
