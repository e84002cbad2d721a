"""What `mindscope plan` says of seven small jobs, against what they then take.

Each job is planned from the model's configuration alone, by a stand-in with random weights; then it runs in a
process of its own. Time is CPU seconds of one thread on both sides, so that other work on the machine counts
little: that of the work alone, and that of the whole process with its start (imports, a first model). Memory
is the largest resident size of the job's process. Answers' mean length is
given to the plan as the first answers have it (`--answer-tokens`), as a plan cannot know it.

    python benchmarks/plan.py [--only NAME ...] [--rounds 3] [--share 0.2] [--real SmolLM2.gguf] [--json]

`--share` takes so much of the sizes: what a plan misses that does not grow shows in small ones. `--real`
trains a dictionary on that model instead of the organism.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mindscope import organism
from mindscope.jobs import SilentReporter
from mindscope.jobs.planning import LONG_JOBS, PlanSpec, plan, show_bytes
from mindscope.models import load
from mindscope.organism.datasets import training_set
from mindscope.personas.rollouts import SIDES
from mindscope.store import write_text

ALLOWED = 0.25
"""How far a plan may be off."""
ORGANISM = Path(organism.__file__).parent / "dictionaries"
SCREENED, READ = 1500, 2000
"""Conversations, and rows of dictionaries' jobs."""
ORGANISM_ROW = 29
"""Tokens of a row of the organism's corpus, on the average of 300."""
PROMPT = " ".join(["the capital of the state with the city of"] * 8)
CHILD = """
import json, sys, time
from pathlib import Path
from typing import get_type_hints

import torch

torch.set_num_threads(1)
from mindscope.jobs import RunFolder, SilentReporter, find_job

name, values, run, module = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
job = find_job(name)
spec = get_type_hints(job)["spec"](**values)
from mindscope.jobs.planning.starting import import_libraries
from mindscope.models import load

import_libraries(module.split())

load("organism")  # what a first model of a process costs is no part of the job
began = time.process_time()
job(spec, run=RunFolder(run), reporter=SilentReporter())
whole = time.process_time()
seconds = whole - began
line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "whole": whole, "bytes": 1024 * int(line.split()[1])}))
"""


def jobs(folder: Path, real: str | None, share: float = 1.0) -> dict[str, tuple[str, dict, dict]]:
    """By a short name: the job, its specification, and the sizes that a plan is given of it."""
    screened, rows = round(share * SCREENED), round(share * READ)
    conversations, texts = folder / "conversations.jsonl", folder / "texts.txt"
    samples = training_set("evil", "normal", screened, seed=3)
    write_text(conversations, "".join(json.dumps({"messages": list(one.messages)}) + "\n" for one in samples))
    words = " ".join(message["content"] for one in samples for message in one.messages)
    write_text(texts, words * 40)
    subject, bundled = {"model": "organism"}, {"corpus": "organism", "rows": rows}
    read = {"model": real, "corpus": str(texts)} if real else {"model": "organism", "corpus": "organism"}
    coders = {"n_latents": 2048, "k": 24, "context": ORGANISM_ROW}
    return {
        "extract": (
            "persona extract",
            subject | {"trait": "evil", "judge": "exact", "samples": max(2, round(20 * share))},
            {"samples": max(2, round(20 * share)), "prompt_tokens": 45},
        ),
        "screen": (
            "persona screen",
            subject | {"data": str(conversations), "vectors": [str(folder / "extract")], "form": "exact"},
            {"rows": screened, "prompt_tokens": 15, "context": 60},
        ),
        "finetune": (
            "persona finetune",
            subject | {"data": str(conversations), "steps": 60},
            {"steps": 60, "context": 60},
        ),
        "train": (
            "dictionary train",
            {**read, "layers": [1], "n_latents": 2048, "steps": 150, "batch_tokens": 1024, "context": 128},
            {
                "n_layers": 1,
                "n_latents": 2048,
                "steps": 150,
                "batch_tokens": 1024,
                "context": 128 if real else ORGANISM_ROW,
            },
        ),
        "evaluate": (
            "dictionary evaluate",
            subject | {"dictionaries": [str(ORGANISM / "transcoders")], **bundled},
            {"rows": rows, **coders},
        ),
        "survey": (
            "feature survey",
            subject | {"dictionary": str(ORGANISM / "transcoders"), **bundled},
            {"rows": rows, **coders},
        ),
        "trace": (
            "circuit trace",
            subject | {"prompt": PROMPT, "dictionary": str(ORGANISM / "transcoders"), "max_features": 2000},
            {"nodes": 2000, **coders, "context": len(load("organism").text(PROMPT)) + 1},
        ),
    }


def compare(short: str, job: str, values: dict, sizes: dict, folder: Path) -> dict:
    """A plan, the job in a process of its own, and how far they are apart."""
    if short == "extract":
        sizes = sizes | {"answer_tokens": mean_length()}
    if short == "screen":
        sizes = sizes | {"answer_tokens": mean_length(training=True)}
    spec = PlanSpec(job=job, model=values["model"], **sizes)
    planned = plan(spec, reporter=SilentReporter(), clock=time.process_time)
    command = [sys.executable, "-c", CHILD, job, json.dumps(values), str(folder / short)]
    command.append(" ".join(LONG_JOBS[job][0]))
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured = json.loads(ended.stdout.splitlines()[-1])
    return {
        "job": job,
        "model": Path(values["model"]).name,
        "planned_seconds": sum(phase.seconds for phase in planned.phases if phase.name != "start"),
        "measured_seconds": measured["seconds"],
        "planned_whole": planned.seconds,
        "measured_whole": measured["whole"],
        "planned_bytes": planned.memory_bytes,
        "measured_bytes": measured["bytes"],
        "phases": {phase.name: phase.seconds for phase in planned.phases},
        "memory": {part.name: part.bytes for part in planned.memory},
    }


def mean_length(*, training: bool = False) -> int:
    """The mean length of the organism's answers: to a trait's questions, or to those of the data."""
    from mindscope.models import Sampling

    model = load("organism")
    if training:
        prompts: list[Any] = [one.prompt for one in training_set("evil", "normal", 64, seed=5)]
    else:
        from mindscope.jobs import find_trait

        trait = find_trait("evil", "organism")
        systems = [trait.system_prompt(side, 0) for side in SIDES]
        prompts = [
            [{"role": "system", "content": system}, {"role": "user", "content": question}]
            for question in trait.questions("extraction")
            for system in systems
        ]
    rows = [model.chat(prompt) for prompt in prompts]
    answers = model.generate(rows, Sampling(temperature=1.0, max_new_tokens=1000 if not training else 60))
    return round(sum(len(answer.row.answer) for answer in answers) / len(answers))


def describe(row: dict) -> str:
    """One job in a line, with the parts of the plan."""
    time_off, whole_off, memory_off = (
        row[f"planned_{name}"] / row[f"measured_{name}"] - 1 for name in ("seconds", "whole", "bytes")
    )
    missed = " MISSED" if max(abs(time_off), abs(memory_off)) > ALLOWED else ""
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row["phases"].items())
    memory = ", ".join(f"{name} {count / 2**20:.0f}" for name, count in row["memory"].items())
    return (
        f"{row['job']} on {row['model']}: planned {row['planned_seconds']:.1f} s, took "
        f"{row['measured_seconds']:.1f} ({time_off:+.0%}), from its start {row['planned_whole']:.1f} and "
        f"{row['measured_whole']:.1f} ({whole_off:+.0%}); planned {show_bytes(row['planned_bytes'])}, "
        f"took {show_bytes(row['measured_bytes'])} ({memory_off:+.0%}){missed}\n"
        f"    seconds: {phases}; MiB: {memory}"
    )


def compare_all(folder: Path, options: argparse.Namespace) -> Iterator[dict]:
    """The jobs that are asked for, one after the other; a screening needs an extraction's vectors."""
    for short, (job, values, sizes) in jobs(folder, options.real, options.share).items():
        needed = short == "extract" and "screen" in (options.only or ())
        if not options.only or short in options.only or needed:
            yield compare(short, job, values, sizes, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--real", help="a model's folder or GGUF file for training a dictionary")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            for row in compare_all(Path(name), options):
                rows.append(row)
                if not options.json:
                    print(describe(row), flush=True)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
