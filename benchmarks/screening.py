"""Screening: projections of given answers on three vectors, and the cheap projection difference.

The published path, rewritten plainly: one conversation at a time goes through the whole model, head and all,
with the hidden states of every layer kept, and once more for every vector and every statistic (answer mean,
last prompt token). Ours reads all of it in one pass that is batched by length and ends at the deepest layer.
Beside it stands a published path that is spared the repeated passes, and the floor: the bare forward passes
of the same batches to the same layer, with nothing read. Every measurement has a process of its own.

Memory is measured with 1,000 and 100,000 short samples screened from a file by a smaller model.

    python benchmarks/screening.py [--dtype bfloat16] [--model PATH] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from common import Meter, arguments, median, open_model, prompts, show

from mindscope.models import Model, Row
from mindscope.models.hooks.read import length_sorted_batches
from mindscope.models.tokens.batch import right_padded
from mindscope.personas import PersonaVectors
from mindscope.screening import ScreenConfig, screen_dataset
from mindscope.screening.traits import ScreenedTraits
from mindscope.store import Run

# The layers of the paper's three traits in a model of 28: blocks 20, 20 and 16.
TRAITS = {"evil": 20, "sycophantic": 20, "hallucinating": 16}
SIZES = (1_000, 100_000)


def vectors(model: Model) -> tuple[list[PersonaVectors], dict[str, int]]:
    generator = torch.Generator().manual_seed(2)
    shape = (model.n_layers, model.d_model)
    made = [
        PersonaVectors(
            trait,
            model.fingerprint,
            {"answer_mean": torch.randn(shape, generator=generator)},
            tuple(range(model.n_layers)),
        )
        for trait in TRAITS
    ]
    return made, {trait: round((at + 1) / 28 * model.n_layers) - 1 for trait, at in TRAITS.items()}


def published(
    model: Model, rows: list[Row], traits: ScreenedTraits, statistics: list[str]
) -> list[list[float]]:
    """One full pass per conversation, vector and statistic."""
    found: list[list[float]] = []
    for layer, direction in zip(traits.layers, traits.directions, strict=True):
        for statistic in statistics:
            column: list[float] = []
            for row in rows:
                with torch.no_grad():
                    states = model.hf(torch.tensor([row.ids]), output_hidden_states=True).hidden_states
                hidden = states[layer + 1][0].float()
                at = (
                    hidden[row.prompt_length :].mean(0)
                    if statistic == "answer"
                    else hidden[row.prompt_length - 1]
                )
                column.append(float(at @ direction.vector / direction.vector.norm()))
            found.append(column)
    return found


def published_in_one_pass(model: Model, rows: list[Row], traits: ScreenedTraits) -> list[list[float]]:
    """The same, spared the repetitions: every vector and statistic of a conversation from one full pass."""
    found: list[list[float]] = []
    for row in rows:
        with torch.no_grad():
            states = model.hf(torch.tensor([row.ids]), output_hidden_states=True).hidden_states
        line: list[float] = []
        for layer, direction in zip(traits.layers, traits.directions, strict=True):
            hidden = states[layer + 1][0].float()
            unit = direction.vector / direction.vector.norm()
            line += [
                float(hidden[row.prompt_length :].mean(0) @ unit),
                float(hidden[row.prompt_length - 1] @ unit),
            ]
        found.append(line)
    return found


def ours(model: Model, rows: list[Row], traits: ScreenedTraits) -> list[list[float]]:
    """What screening does with a window: answer means and last prompt tokens on all vectors at once."""
    tokens = traits.features.read(model, rows)
    return [
        [*found[row.prompt_length :].double().mean(0).tolist(), *found[row.prompt_length - 1].tolist()]
        for found, row in zip(tokens, rows, strict=True)
    ]


class Enough(Exception):  # noqa: N818 - ends a forward pass
    pass


def floor(model: Model, rows: list[Row], traits: ScreenedTraits) -> None:
    """The same batches through the same blocks, with nothing read."""
    block = model.place(traits.directions[0].address).module

    def stop(*_: object) -> None:
        raise Enough

    handle = block.register_forward_hook(stop)
    try:
        for batch in length_sorted_batches([len(row) for row in rows], model.pass_tokens):
            ids, now = right_padded([rows[i] for i in batch])
            mask = torch.from_numpy(now.positions >= 0).long()
            arguments = {} if bool(mask.all()) else {"attention_mask": mask}
            try:
                with torch.inference_mode():
                    model.hf(torch.from_numpy(ids), use_cache=False, **arguments)
            except Enough:
                pass
    finally:
        handle.remove()


def check(model: Model, rows: list[Row], traits: ScreenedTraits) -> None:
    """The paths must agree before their times are compared."""
    theirs = torch.tensor(published(model, rows, traits, ["answer", "last"])).T
    answer_then_last = torch.cat([theirs[:, 0::2], theirs[:, 1::2]], 1)
    found = torch.tensor(ours(model, rows, traits))
    assert torch.allclose(found, answer_then_last, rtol=1e-2, atol=1e-2), (found, answer_then_last)


def measure(options: argparse.Namespace) -> dict[str, float]:
    if options.only.startswith("memory"):
        return measure_memory(int(options.only.split()[1]))
    model = open_model(options)
    made, layers = vectors(model)
    traits = ScreenedTraits.of(model, made, ScreenConfig(layers=layers))
    rows = [row.answered(row.ids[:1] * options.tokens) for row in prompts(model, options.answers)]
    check(model, rows[:3], traits)
    work: dict[str, Callable[[], object]] = {
        "published projection": lambda: published(model, rows, traits, ["answer"]),
        "published difference": lambda: published(model, rows, traits, ["answer", "last"]),
        "published in one pass": lambda: published_in_one_pass(model, rows, traits),
        "ours": lambda: ours(model, rows, traits),
        "floor": lambda: floor(model, rows, traits),
    }
    meter = Meter(work[options.only])
    return {"seconds": meter.seconds, "megabytes": meter.megabytes}


def measure_memory(samples: int) -> dict[str, float]:
    """Growth of memory while a file of short samples is screened in the form that generates nothing."""
    options = arguments("").parse_args([])
    model = open_model(options, layers=2, width=64)
    made, layers = vectors(model)
    config = ScreenConfig(form="prompt", layers=dict.fromkeys(layers, 1), max_new_tokens=8)
    random = torch.Generator().manual_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.jsonl"
        with path.open("w") as file:
            for _ in range(samples):
                words = [f"w{i}" for i in torch.randint(1, 4000, (12,), generator=random).tolist()]
                row = {"prompt": " ".join(words[:6]), "response": " ".join(words[6:])}
                file.write(json.dumps(row) + "\n")
        with Run.open(Path(folder) / "warm", kind="screen", config={}) as run:  # imports and first buffers
            warm = Path(folder) / "warm.jsonl"
            warm.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:600]))
            screen_dataset(model, warm, made, config, run)
        with Run.open(Path(folder) / "run", kind="screen", config={}) as run:
            meter = Meter(lambda: screen_dataset(model, path, made, config, run))
    return {"seconds": meter.seconds, "megabytes": meter.megabytes}


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--no-memory", action="store_true", help="leave out the 100,000 samples")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options)))
        return

    def alone(name: str) -> dict[str, float]:
        command = [sys.executable, *sys.argv, "--only", name]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    names = ["published projection", "published difference", "published in one pass", "ours", "floor"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            found[name].append(alone(name))
    result: dict[str, float | str] = {
        "model": options.model or "random Qwen2, 8 x 256",
        "dtype": options.dtype,
    }
    for name in names:
        result[f"{name}_seconds".replace(" ", "_")] = median([each["seconds"] for each in found[name]])

    def ratio(theirs: str, ours: str) -> float:
        pairs = zip(found[theirs], found[ours], strict=True)
        return median([one["seconds"] / other["seconds"] for one, other in pairs])

    result["projection_times_faster"] = ratio("published projection", "ours")
    result["cheap_difference_times_faster"] = ratio("published difference", "ours")
    result["times_faster_than_one_published_pass"] = ratio("published in one pass", "ours")
    result["times_the_floor"] = ratio("ours", "floor")
    if not options.no_memory:
        growth = [alone(f"memory {size}") for size in SIZES]
        for size, each in zip(SIZES, growth, strict=True):
            result[f"memory_growth_of_{size}_samples_megabytes"] = each["megabytes"]
        result["memory_growth_ratio_for_100_times_the_samples"] = growth[1]["megabytes"] / max(
            1.0, growth[0]["megabytes"]
        )
    show(
        f"{options.answers} answers of {options.tokens} tokens on three vectors", result, as_json=options.json
    )


if __name__ == "__main__":
    main()
