"""The nineteen tasks, by following their page literally: its lines are given as they stand, in one folder."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mindscope.personas import PersonaVectors

ROOT = Path(__file__).resolve().parents[3]
TASK = re.compile(r"^## (\d+)\. (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
TASKS = TASK.findall((ROOT / "docs" / "tasks.md").read_text("utf-8"))


def commands(text: str) -> list[str]:
    """The lines of a task's block."""
    (block,) = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return block.splitlines()


def has_doctor(folder: Path, out: Any, said: str) -> bool:
    return (
        out["memory"]["total_gib"] > 0 and "train" in out["extras"] and out["fits"]["bfloat16_billions"] > 0
    )


def has_choices(folder: Path, out: Any, said: str) -> bool:
    told = len(out["choices"]) == 4 and all(choice["why"] for choice in out["choices"])
    return (
        told
        and out["command"].startswith("mindscope demo")
        and out["seconds"] > 0
        and not any(folder.iterdir())
    )


def has_vectors(folder: Path, out: Any, said: str) -> bool:
    place = folder / "runs/evil"
    return (place / "extract/evil/vectors.safetensors").is_file() and (place / "report.html").is_file()


def has_choice(folder: Path, out: Any, said: str) -> bool:
    documents = [
        json.loads(file.read_text()) for file in (folder / "runs/evil/sweep/evil").glob("sweep.json")
    ]
    return len(documents) == 1


def is_steered(folder: Path, out: Any, said: str) -> bool:
    return out["steered"] > out["unsteered"] and out["steered"] > out["random"]


def has_two_answers(folder: Path, out: Any, said: str) -> bool:
    (text,) = out["texts"]
    return text["answers"]["unsteered"] != text["answers"]["steered"]


def has_recorded(folder: Path, out: Any, said: str) -> bool:
    return (folder / "runs/recorded/extract/evil/vectors.safetensors").is_file()


def is_flagged(folder: Path, out: Any, said: str) -> bool:
    (trait,) = out["traits"]
    return trait["flagged"] > 0.05 * out["samples"]


def is_kept(folder: Path, out: Any, said: str) -> bool:
    def share(name: str, data: str) -> float:
        kept = (folder / "runs" / f"{name}.jsonl").read_bytes().splitlines()
        given = (folder / "runs/data" / f"{data}.jsonl").read_bytes().splitlines()
        assert set(kept) <= set(given)
        return len(kept) / len(given)

    return share("kept", "evil-I") <= 0.2 and share("harmless", "evil-normal") >= 0.8


def is_alarmed(folder: Path, out: Any, said: str) -> bool:
    (feature,) = out["features"]
    return (
        feature["alarms"] >= out["conversations"] / 2
        and (folder / "runs/monitor/thresholds.safetensors").is_file()
    )


def is_tuned(folder: Path, out: Any, said: str) -> bool:
    card = json.loads((folder / "runs/tuned/finetune/model/mindscope.json").read_text())
    (way,) = card["config"]["interventions"]
    return (way["kind"], way["trait"]) == ("prevent", "evil") and (
        folder / "runs/tuned/finetune/model/adapter_model.safetensors"
    ).is_file()


def has_shift(folder: Path, out: Any, said: str) -> bool:
    (tuned,) = out["tuned"]
    moved = tuned["movements"]
    return {row["layer"] for row in moved} == {0, 1, 2, 3} and all(
        row["low"] <= row["shift"] <= row["high"] for row in moved
    )


def has_graph(folder: Path, out: Any, said: str) -> bool:
    page = (folder / "runs/circuit/report.html").read_text("utf-8")
    return (folder / "runs/circuit/graph.safetensors").is_file() and not re.search(r'src="http', page)


def is_right(folder: Path, out: Any, said: str) -> bool:
    return out["overall"]["r"] > 0.5


def has_heads(folder: Path, out: Any, said: str) -> bool:
    heads = [head for edge in out["edges"] for head in edge["heads"]]
    return len(out["edges"]) == 8 and bool(heads)


def is_reproduced(folder: Path, out: Any, said: str) -> bool:
    measured = {part["part"] for part in out["parts"]}
    same = all(part["same"] for part in out["parts"])
    return (folder / "tavton.case").is_file() and {"graph", "validation"} <= measured and same


def has_latents(folder: Path, out: Any, said: str) -> bool:
    scores = [row["f1"] for row in out]
    return (
        scores == sorted(scores, reverse=True)
        and scores[0] > 0.3
        and {row["token"] for row in out} == {" river"}
    )


def has_dictionary(folder: Path, out: Any, said: str) -> bool:
    (evaluation,) = out["evaluations"]
    sparse = abs(evaluation["sparsity"]["l0"] - 16) < 2
    recovered = evaluation["recovered"]["ce_recovered"]
    return (folder / "runs/saes/resid_post.2.safetensors").is_file() and sparse and 0.5 < recovered <= 1


def has_all_runs(folder: Path, out: Any, said: str) -> bool:
    ours = PersonaVectors.load(folder / "runs/evil/extract/evil/vectors.safetensors").answer_mean
    back = PersonaVectors.load(folder / "back.safetensors").answer_mean
    runs = {Path(run["path"]).name for run in out}
    begun = {"evil", "recorded", "screen", "monitor", "tuned", "circuit", "features", "saes", "evaluation"}
    nothing_left = "this will be" not in said
    same = torch.allclose(back[-1], ours[-1], atol=1e-5)  # a file of directions and one of lengths round
    return same and begun <= runs and nothing_left


CHECKS: list[Callable[[Path, Any, str], bool]] = [
    has_doctor,
    has_choices,
    has_vectors,
    has_choice,
    is_steered,
    has_two_answers,
    has_recorded,
    is_flagged,
    is_kept,
    is_alarmed,
    is_tuned,
    has_shift,
    has_graph,
    is_right,
    has_heads,
    is_reproduced,
    has_latents,
    has_dictionary,
    has_all_runs,
]


def test_there_are_nineteen_each_with_a_page_commands_and_a_check():
    assert [int(number) for number, _, _ in TASKS] == list(range(1, 20))
    assert len(CHECKS) == len(TASKS)
    for _, title, text in TASKS:
        assert re.search(r"\]\([\w/]+\.md", text), title
        assert all(line.startswith("mindscope ") for line in commands(text)), title
        assert "\nCheck: " in text, title


def run_task(folder: Path, text: str) -> tuple[str, str]:
    """Gives the lines of a task: the last JSON that they print, and what the last of them says beside it."""
    printed, said = "null", ""
    for line in commands(text):
        words = shlex.split(line.removeprefix("mindscope "))
        done = subprocess.run(
            [sys.executable, "-m", "mindscope", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said = done.stderr
        printed = done.stdout if "--json" in words else printed
    return printed, said


@pytest.mark.long
def test_each_task_by_its_page_alone(tmp_path, subtests):
    """One test for all: a task uses what earlier ones have made, so that they must not be shared out."""
    for (number, title, text), check in zip(TASKS, CHECKS, strict=True):
        with subtests.test(msg=f"{number}. {title}"):
            printed, said = run_task(tmp_path, text)
            assert check(tmp_path, json.loads(printed), said), printed[:2000]
