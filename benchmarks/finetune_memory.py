"""The memory that fine-tuning takes at most, beside a plain loop with peft on the same batches.

Each side runs in a process of its own and says how far its resident memory rose, at its highest, above what
the loaded model takes (`VmHWM`, begun anew once the model is there), and its highest in all. The floor is the
shortest loop with peft: an adapter of the same rank on the same matrices, in the same precision, the same
tokens in the same batches, one forward and backward pass and one AdamW step each.

    python benchmarks/finetune_memory.py [--model organism] [--steps 4] [--batch-rows 8] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from clock import measure_memory
from common import show
from plain_peft import plain_adapter, train_plainly

from mindscope.data import Conversation
from mindscope.finetuning import FinetuneConfig, PreventativeSteering, finetune_model
from mindscope.finetuning.examples import build_examples
from mindscope.finetuning.finetune import load_base
from mindscope.organism.datasets import training_set
from mindscope.personas import PersonaVectors
from mindscope.store import Run

JOINED = 4
"""Answers of the organism's data that one conversation holds: about ninety tokens."""
SIDES = ("peft", "finetune", "finetune with steering")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="organism")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch-rows", type=int, default=8)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure_side(options)))
        return
    sides = {side: _in_own_process(side) for side in SIDES}
    peft = sides["peft"]
    show(
        f"fine-tuning {options.model}: {options.batch_rows} conversations a step, megabytes at the highest",
        {
            **{f"{side}, in all": peak["whole"] for side, peak in sides.items()},
            **{f"{side}, above the model": peak["above"] for side, peak in sides.items()},
            **{
                f"{side} / peft, in all": peak["whole"] / peft["whole"]
                for side, peak in sides.items()
                if side != "peft"
            },
        },
        as_json=options.json,
    )


def measure_side(options: argparse.Namespace) -> dict[str, float]:
    """What one side took, in this process."""
    torch.set_num_threads(1)
    config = FinetuneConfig(batch_rows=options.batch_rows, accumulation=1, steps=options.steps)
    model = load_base(options.model, config)
    data = _conversations(options.steps * options.batch_rows)
    vectors: list[PersonaVectors] = []
    if options.side == SIDES[2]:
        steering = PreventativeSteering(trait="made up")
        config = config.model_copy(update={"interventions": (steering,)})
        matrix = torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(0))
        layers = tuple(range(model.n_layers))
        vectors = [PersonaVectors("made up", model.fingerprint, {"answer_mean": matrix * 0.01}, layers)]
    if options.side == SIDES[0]:
        rows = build_examples(data, model).rows
        return measure_memory(lambda: train_plainly(plain_adapter(model, config), rows, config))
    with (
        tempfile.TemporaryDirectory() as folder,
        Run.open(Path(folder) / "run", kind="benchmark", config={}) as run,
    ):
        return measure_memory(lambda: finetune_model(model, data, run, config, vectors=vectors))


def _conversations(count: int) -> list[Conversation]:
    answers = training_set("evil", "II", count * JOINED)
    joined = [answers[start : start + JOINED] for start in range(0, len(answers), JOINED)]
    return [
        Conversation(
            (
                *group[0].prompt,
                {"role": "assistant", "content": " ".join(item.answer or "" for item in group)},
            )
        )
        for group in joined
    ]


def _in_own_process(side: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
