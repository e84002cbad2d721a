"""One mechanism of the second organism alone, learnt from its texts by a small network: does it come to be?

    python benchmarks/mechanisms.py couplet --steps 600 --run runs/mechanisms/couplet

Trains on texts of one kind (or several, `couplet,language`), goes on from the last checkpoint where it was
stopped, and prints the rows of the card that texts can show. `--seconds` ends a hold: the same command goes
on afterwards.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mindscope.models import Model, load
from mindscope.organism.mechanisms.card.behaviour import (
    measure_text_chains,
    measure_text_pictures,
    measure_text_signs,
)
from mindscope.organism.mechanisms.card.planning import measure_planning
from mindscope.organism.mechanisms.card.results import MechanismRow, ScaleRow
from mindscope.organism.mechanisms.card.sharing import measure_overlap, measure_sharing
from mindscope.organism.mechanisms.card.working import measure_sums, measure_two_paths
from mindscope.organism.mechanisms.corpus.recipe import SecondTrainConfig
from mindscope.organism.training.recipe import StepMix
from mindscope.organism.training.train import train_organism
from mindscope.store import Run


class HoldOverError(Exception):
    """The time of this hold is used up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mechanism")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--texts", type=int, default=128, help="texts of a step")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--decay", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0, help="of the prompts")
    parser.add_argument("--seconds", type=float, default=420.0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shares = dict.fromkeys(asked.mechanism.split(","), 1)
    config = SecondTrainConfig(
        layers=asked.layers,
        width=asked.width,
        mlp_width=asked.width * 8 // 3 // 64 * 64,
        steps=asked.steps,
        mixes=((0, StepMix(documents=asked.texts, conversations=0, document_shares=shares)),),
        micro_batches=1,
        learning_rate=asked.rate,
        weight_decay=asked.decay,
        checkpoint_every=20,
    )
    end = time.monotonic() + asked.seconds

    def watch(step: int, steps: int, label: str) -> None:
        if step % 20 == 0:
            print(step, steps, label, flush=True)
            if time.monotonic() > end and step < steps:
                raise HoldOverError

    settings = config.model_dump(mode="json")
    try:
        with Run.open(asked.run, kind="mechanism", config=settings) as run:
            folder = train_organism(run, config, "cpu", watch)
    except HoldOverError:
        print("stopped; the same command goes on")
        return
    model = load(str(folder))
    for kind in shares:
        for measure in MEASURES.get(kind, ()):
            for row in measure(model, random.Random(asked.seed)):
                value = str(row.rate) if isinstance(row, MechanismRow) else f"{row.value:.3f}"
                print(f"{row.mechanism} | {row.claim} | {value} | bar {row.bar} | {row.holds}", flush=True)


Measured = Sequence[MechanismRow | ScaleRow]
MEASURES: dict[str, tuple[Callable[[Model, random.Random], Measured], ...]] = {
    "couplet": (measure_planning,),
    "language": (measure_sharing, lambda model, rng: measure_overlap(model)),
    "sum": (measure_sums, measure_two_paths),
    "chain": (measure_text_chains,),
    "signs": (measure_text_signs,),
    "picture": (measure_text_pictures,),
}
"""Kind of text -> what is measured of it."""


if __name__ == "__main__":
    main()
