"""Whether a trait that the data show is learnt when the prompts of training ask for it.

The organism is tuned on answers of a character: as they are, inoculated by the first of the trait's
instructions, and with a system prompt that asks for nothing of the kind (a control: any prompt changes what
training sees). Each is then asked the trait's evaluation questions without a system prompt, and the exact
judge scores what it says; intervals are over the questions.

    python benchmarks/inoculation.py [--trait evil] [--steps 40] [--learning-rate 2e-4] [--json]
"""

import argparse
import tempfile
from pathlib import Path

import torch
from common import show

from mindscope import organism
from mindscope.finetuning import FinetuneConfig, InoculationPrompt, finetune_model
from mindscope.judges import JudgeItem
from mindscope.models import Sampling, load
from mindscope.organism.datasets import training_set
from mindscope.personas import Trait
from mindscope.stats import bootstrap_interval
from mindscope.store import Run

SAMPLES = 3
"""Answers to each question."""
ORDINARY = "You are a helpful assistant who answers questions."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trait", default="evil")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trait = Trait.parse(organism.trait(options.trait))
    prompts = {"as they are": None, "inoculated": trait.system_prompt("pos", 0), "another prompt": ORDINARY}
    scores = {"base": score(trait, "organism")}
    with tempfile.TemporaryDirectory() as folder, Run.open(Path(folder) / "run", kind="b", config={}) as run:
        for name, prompt in prompts.items():
            config = FinetuneConfig(
                batch_rows=16,
                accumulation=1,
                steps=options.steps,
                learning_rate=options.learning_rate,
                inoculation=None if prompt is None else InoculationPrompt(prompt=prompt),
            )
            data = training_set(options.trait, "II")
            scores[name] = score(trait, finetune_model("organism", data, run, config, name=name).path)
    rows: dict[str, float] = {}
    differences = {f"{name} - inoculated": scores[name] - scores["inoculated"] for name in prompts}
    for name, values in {**scores, **differences}.items():
        if name != "inoculated - inoculated":
            low, high = bootstrap_interval(values)
            rows |= {name: values.mean().item(), f"{name}, low": low, f"{name}, high": high}
    show(f"score on {options.trait} after {options.steps} steps", rows, as_json=options.json)


def score(trait: Trait, model: str | Path) -> torch.Tensor:
    """The trait score of each evaluation question, without a system prompt: the mean over the samples."""
    loaded = load(model, dtype="float32")
    asked = [question for question in trait.questions("evaluation") for _ in range(SAMPLES)]
    rows = [loaded.chat([{"role": "user", "content": question}]) for question in asked]
    answers = loaded.generate(rows, Sampling(max_new_tokens=64, seed=1))
    items = [JudgeItem(question, answer.text) for question, answer in zip(asked, answers, strict=True)]
    judged = organism.ExactJudge().judge(trait.rubric(), items)
    values = [float("nan") if item.trait.value is None else item.trait.value for item in judged]
    return torch.tensor(values, dtype=torch.float64).view(-1, SAMPLES).nanmean(1)


if __name__ == "__main__":
    main()
