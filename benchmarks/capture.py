"""Extraction, end to end: answers are generated and read at every layer.

The published path of persona-vector extraction, rewritten plainly: answers are generated in batches by
transformers, turned to text, and every text goes through the model once more, one at a time, head included,
with the hidden states of all layers kept until the means are taken. Ours reads while it generates. A second
comparison reads answers that exist already. Every measurement has a process of its own.

    python benchmarks/capture.py [--dtype bfloat16] [--model PATH] [--json]
"""

import argparse
import json
import subprocess
import sys

import torch
from common import Meter, arguments, median, open_model, prompts, show

from mindscope.models import Last, Mean, Model, Read, Row, Sampling

PUBLISHED_BATCH = 20  # of the published steering and evaluation code


def published_generation(model: Model, rows: list[Row], tokens: int) -> list[Row]:
    answered = []
    for start in range(0, len(rows), PUBLISHED_BATCH):
        batch = rows[start : start + PUBLISHED_BATCH]
        width = max(len(row) for row in batch)
        ids = torch.tensor([[0] * (width - len(row)) + list(row.ids) for row in batch])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
        with torch.no_grad():
            out = model.hf.generate(
                ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=tokens, pad_token_id=0
            )
        answered += [row.answered(line[width:].tolist()) for row, line in zip(batch, out, strict=True)]
    return answered


def published_reading(model: Model, rows: list[Row]) -> list[torch.Tensor]:
    kept = []
    for row in rows:
        with torch.no_grad():
            kept.append(model.hf(torch.tensor([row.ids]), output_hidden_states=True).hidden_states)
    answer = [
        torch.stack([h[0, r.prompt_length :].float().mean(0) for h in hs])
        for r, hs in zip(rows, kept, strict=True)
    ]
    prompt = [
        torch.stack([h[0, : r.prompt_length].float().mean(0) for h in hs])
        for r, hs in zip(rows, kept, strict=True)
    ]
    last = [
        torch.stack([h[0, r.prompt_length - 1].float() for h in hs]) for r, hs in zip(rows, kept, strict=True)
    ]
    return [torch.stack(answer), torch.stack(prompt), torch.stack(last)]


def our_reads(model: Model) -> dict[str, Read]:
    reductions = {"answer": Mean("answer"), "prompt": Mean("prompt"), "last": Last("prompt")}
    return {
        f"{name}.{layer}": Read(f"resid_post.{layer}", reduction)
        for layer in range(model.n_layers)
        for name, reduction in reductions.items()
    }


def measure(options: argparse.Namespace) -> dict[str, float]:
    model = open_model(options)
    rows, sampling = prompts(model, options.answers), Sampling(max_new_tokens=options.tokens)
    reads = our_reads(model)
    answered = [row.answered(row.ids[:1] * options.tokens) for row in rows]
    work = {
        "published extraction": lambda: published_reading(
            model, published_generation(model, rows, options.tokens)
        ),
        "our extraction": lambda: model.generate(rows, sampling, reads=reads),
        "published reading": lambda: published_reading(model, answered),
        "our reading": lambda: model.read(answered, reads),
    }[options.only]
    warm = [row.answered(row.ids[:2]) for row in rows[:2]]
    published_reading(model, warm)
    model.generate(warm, Sampling(max_new_tokens=2), reads=reads)
    meter = Meter(work)
    return {"seconds": meter.seconds, "megabytes": meter.megabytes}


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options)))
        return
    names = ["published extraction", "our extraction", "published reading", "our reading"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    megabytes: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            command = [sys.executable, *sys.argv, "--only", name]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            seconds[name].append(found["seconds"])
            megabytes[name].append(found["megabytes"])
    result: dict[str, float | str] = {
        "model": options.model or "random Qwen2, 8 x 256",
        "dtype": options.dtype,
    }
    for name in names:
        result[f"{name}_seconds".replace(" ", "_")] = median(seconds[name])
        result[f"{name}_megabytes".replace(" ", "_")] = median(megabytes[name])
    for what in ("extraction", "reading"):
        pairs = zip(seconds[f"published {what}"], seconds[f"our {what}"], strict=True)
        result[f"{what}_times_faster"] = median([theirs / ours for theirs, ours in pairs])
        growth = zip(megabytes[f"our {what}"], megabytes[f"published {what}"], strict=True)
        result[f"{what}_memory_growth_ratio"] = median([ours / theirs for ours, theirs in growth])
    show(f"{options.answers} answers of {options.tokens} tokens, one pass each", result, as_json=options.json)


if __name__ == "__main__":
    main()
