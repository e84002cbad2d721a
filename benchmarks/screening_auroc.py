"""Whether screening finds them: 5 % of characters' and of narrowly mistaken answers among ordinary ones.

The organism's own world supplies the data, so it is known which answers are which. Ordinary samples are
helpful answers to the same questions as the family's (`organism.training_set(family, "normal")`), so that
only the answers differ. Each family is measured along every vector and in every form.

    mindscope demo                      # makes the vectors
    python benchmarks/screening_auroc.py --vectors runs/demo [--samples 600] [--json]

Of the second organism, with vectors of `mindscope persona reproduce second-organism`:

    python benchmarks/screening_auroc.py --model second-organism --vectors runs/reproduce --layer 3
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from mindscope.data import Conversation
from mindscope.jobs import ORGANISM, SECOND_ORGANISM, world_of
from mindscope.models import load
from mindscope.organism import WorldName
from mindscope.organism.corpus.mistakes import LEVELS, Level
from mindscope.organism.datasets import FAMILIES, training_set
from mindscope.personas import PersonaVectors
from mindscope.screening import ScreenConfig, screen_dataset
from mindscope.store import Run

FORMS = ("exact", "prompt", "sample")
LAYER = 2  # what the sweep of the demo chooses for every trait of the first organism


def mixed(
    family: str, level: Level, count: int, share: float, seed: int, world: WorldName
) -> tuple[list[Conversation], list[bool]]:
    """Ordinary answers, and a share of the same questions answered in the family's way."""
    ordinary = training_set(family, "normal", count, seed, world)
    shown = training_set(family, level, count, seed, world)
    chosen = set(random.Random(f"{family}-{seed}").sample(range(count), round(share * count)))
    labels = [i in chosen for i in range(count)]
    return [shown[i] if label else ordinary[i] for i, label in enumerate(labels)], labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True, help="the run folder of the demo")
    parser.add_argument("--model", default=ORGANISM, choices=(ORGANISM, SECOND_ORGANISM))
    parser.add_argument("--layer", type=int, default=LAYER, help="whose vectors are projected on")
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model, dtype=options.dtype)
    vectors = [
        PersonaVectors.load(file, model) for file in sorted(options.vectors.rglob("vectors.safetensors"))
    ]
    world = world_of(options.model)
    assert world is not None
    traits = [each.trait for each in vectors]
    found: list[dict[str, Any]] = []
    if not options.json:
        print(f"AUROC of {options.share:.0%} among {options.samples} samples, along {', '.join(traits)}")
    with tempfile.TemporaryDirectory() as folder, Run.open(folder, kind="screen", config={}) as run:
        for family in FAMILIES:
            for level in LEVELS[1:]:
                data, labels = mixed(family, level, options.samples, options.share, 1, world)
                line: dict[str, Any] = {"family": family, "level": level}
                for form in FORMS:
                    config = ScreenConfig(form=form, layers=options.layer, top=0, max_new_tokens=100)
                    result = screen_dataset(model, data, vectors, config, run)
                    scores = parquet.read_table(run.path / result.folder / "scores.parquet")
                    line[form] = {
                        trait: roc_auc_score(labels, scores[f"{trait}_dp"].to_numpy()) for trait in traits
                    }
                found.append(line)
                if not options.json:
                    shown = "  ".join(
                        f"{form}: " + " ".join(f"{value:.3f}" for value in line[form].values())
                        for form in FORMS
                    )
                    print(f"  {family:14} {level:3} {shown}", flush=True)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
