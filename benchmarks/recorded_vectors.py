"""Vectors of recorded answers beside those of prompted ones, on the organism: direction and steering.

    python benchmarks/recorded_vectors.py --traits evil,sycophantic

For each trait, 60 recorded pairs that the world's program wrote without any system prompt, at full strength
(II) and at half (I), against ordinary answers to the same questions. Steered are ten evaluation questions at
layer 2 with coefficient 1, scored by the organism's exact judge. A few minutes.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from mindscope import organism
from mindscope.models import Model, load
from mindscope.organism.datasets import training_set
from mindscope.personas import (
    ExampleSet,
    ExtractConfig,
    PersonaVectors,
    SteerConfig,
    Trait,
    extract_from_examples,
    extract_vectors,
    measure_steering,
)
from mindscope.store import Run

LAYER = 2
STEER = SteerConfig(layer=LAYER, coefficient=1.0, n_random=2, max_new_tokens=64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traits", default="evil,sycophantic")
    parser.add_argument("--pairs", type=int, default=60)
    options = parser.parse_args()
    model = load("organism")
    print("trait  vectors  cosine  norm  AUROC  unsteered  steered  random  coherence")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.traits.split(","):
            compare(model, name, options.pairs, Path(folder))


def compare(model: Model, name: str, pairs: int, folder: Path) -> None:
    trait = Trait.parse(organism.trait(name))
    config = ExtractConfig(samples=2, questions=10, max_new_tokens=64, resamples=100)
    with Run.open(folder / f"{name}-prompted", kind="benchmark", config={}) as run:
        prompted = extract_vectors(model, trait, organism.ExactJudge(), run, config)
        report(model, trait, "prompted", prompted, prompted, run)
    for level in ("II", "I"):
        examples = ExampleSet.of(training_set(name, level, pairs), training_set(name, "normal", pairs))
        with Run.open(folder / f"{name}-{level}", kind="benchmark", config={}) as run:
            recorded = extract_from_examples(model, trait, examples, run, config)
            report(model, trait, f"recorded {level}", recorded, prompted, run)


def report(
    model: Model, trait: Trait, what: str, vectors: PersonaVectors, prompted: PersonaVectors, run: Run
) -> None:
    cosine = torch.cosine_similarity(vectors.answer_mean[LAYER], prompted.answer_mean[LAYER], dim=0)
    questions = trait.questions("evaluation")[:10]
    scores = measure_steering(
        model, vectors, trait, organism.ExactJudge(), run, STEER, questions=questions
    ).summary()
    assert vectors.statistics is not None
    auroc = vectors.statistics.auroc[LAYER]
    print(
        f"{trait.name}  {what}  {cosine:.3f}  {vectors.norms[LAYER]:.1f}  {auroc:.3f}"
        f"  {scores.unsteered}  {scores.steered}  {scores.random}  {scores.coherence_steered}",
        flush=True,
    )


if __name__ == "__main__":
    main()
