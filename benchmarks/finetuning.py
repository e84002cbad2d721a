"""What fine-tuning costs beyond its forward and backward passes, with and without preventative steering.

The floor is a plain loop over the same tokens in the same batches: an adapter of the same size, one forward
and backward pass and one AdamW step each, the model and the tokens ready before the clock starts. Ours is
the whole `finetune`, from reading the conversations to the adapter on disk.

    python benchmarks/finetuning.py [--rows 400] [--json]
"""

import argparse
import tempfile
from pathlib import Path

import torch
from common import Meter, median, show
from plain_peft import plain_adapter, train_plainly

from mindscope.finetuning.config import FinetuneConfig, PreventativeSteering
from mindscope.finetuning.examples import build_examples
from mindscope.finetuning.finetune import finetune_model
from mindscope.models import load
from mindscope.organism.datasets import training_set
from mindscope.personas import PersonaVectors
from mindscope.store import Run

LAYER = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are printed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = training_set("evil", "II", options.rows)
    config = FinetuneConfig(batch_rows=16, accumulation=1)
    steered = config.model_copy(
        update={"interventions": (PreventativeSteering(trait="evil", layer=LAYER, coefficient=2.0),)}
    )
    base = load("organism", dtype="float32")
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(base.n_layers, base.d_model, generator=generator)
    vectors = PersonaVectors("evil", base.fingerprint, {"answer_mean": matrix}, tuple(range(base.n_layers)))
    rows = build_examples(data, base).rows

    def floor() -> float:
        hf = plain_adapter(load("organism", dtype="float32"), config)
        return Meter(lambda: train_plainly(hf, rows, config)).seconds

    def ours(settings: FinetuneConfig) -> float:
        with (
            tempfile.TemporaryDirectory() as folder,
            Run.open(Path(folder) / "run", kind="benchmark", config={}) as run,
        ):
            return Meter(lambda: finetune_model("organism", data, run, settings, vectors=[vectors])).seconds

    ours(config.model_copy(update={"steps": 2}))  # imports and first calls
    found = [(floor(), ours(config), ours(steered)) for _ in range(options.rounds)]
    bare, plain, prevented = (median([each[i] for each in found]) for i in range(3))
    show(
        f"fine-tuning the organism on {options.rows} conversations, one thread, CPU seconds",
        {
            "floor: forward, backward, AdamW": bare,
            "finetune": plain,
            "finetune with preventative steering": prevented,
            "finetune / floor": plain / bare,
            "steering / without": prevented / plain,
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
