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
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[3]
TASK = re.compile(r"^## (\d+)\. (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
TASKS = TASK.findall((ROOT / "docs" / "tasks.md").read_text("utf-8"))


def commands(text: str) -> list[str]:
    """The lines of a task's block."""
    (block,) = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return block.splitlines()


def has_doctor(folder: Path, out: Any) -> bool:
    return (
        out["memory"]["total_gib"] > 0 and "train" in out["extras"] and out["fits"]["bfloat16_billions"] > 0
    )


def has_choices(folder: Path, out: Any) -> bool:
    told = len(out["choices"]) == 4 and all(choice["why"] for choice in out["choices"])
    return (
        told
        and out["command"].startswith("mindscope demo")
        and out["seconds"] > 0
        and not any(folder.iterdir())
    )


def has_vectors(folder: Path, out: Any) -> bool:
    place = folder / "runs/evil"
    return (place / "extract/evil/vectors.safetensors").is_file() and (place / "report.html").is_file()


def has_choice(folder: Path, out: Any) -> bool:
    documents = [
        json.loads(file.read_text()) for file in (folder / "runs/evil/sweep/evil").glob("sweep.json")
    ]
    return len(documents) == 1


def is_steered(folder: Path, out: Any) -> bool:
    return out["steered"] > out["unsteered"] and out["steered"] > out["random"]


def has_two_answers(folder: Path, out: Any) -> bool:
    (text,) = out["texts"]
    return text["answers"]["unsteered"] != text["answers"]["steered"]


def has_recorded(folder: Path, out: Any) -> bool:
    return (folder / "runs/recorded/extract/evil/vectors.safetensors").is_file()


def is_flagged(folder: Path, out: Any) -> bool:
    (trait,) = out["traits"]
    return trait["flagged"] > 0.05 * out["samples"]


def is_kept(folder: Path, out: Any) -> bool:
    given, kept = (
        (folder / name).read_bytes().splitlines() for name in ("runs/data/evil-I.jsonl", "runs/kept.jsonl")
    )
    return 0 < len(kept) < len(given) and set(kept) <= set(given)


def is_alarmed(folder: Path, out: Any) -> bool:
    (feature,) = out["features"]
    return (
        feature["alarms"] >= out["conversations"] / 2
        and (folder / "runs/monitor/thresholds.safetensors").is_file()
    )


def is_tuned(folder: Path, out: Any) -> bool:
    card = json.loads((folder / "runs/tuned/finetune/model/mindscope.json").read_text())
    return "evil" in json.dumps(card)


def has_shift(folder: Path, out: Any) -> bool:
    return json.dumps(out).count('"low"') >= 4


def has_graph(folder: Path, out: Any) -> bool:
    page = (folder / "runs/circuit/report.html").read_text("utf-8")
    return (folder / "runs/circuit/graph.safetensors").is_file() and not re.search(r'src="http', page)


def is_right(folder: Path, out: Any) -> bool:
    return out["overall"]["r"] > 0.5


def has_heads(folder: Path, out: Any) -> bool:
    heads = [head for edge in out["edges"] for head in edge["heads"]]
    return len(out["edges"]) == 8 and bool(heads)


def is_reproduced(folder: Path, out: Any) -> bool:
    return (folder / "tavton.case").is_file() and bool(out)


def has_latents(folder: Path, out: Any) -> bool:
    return len(re.findall(r'"(?:latent|feature|index)": ', json.dumps(out))) > 0


def has_dictionary(folder: Path, out: Any) -> bool:
    return (folder / "runs/saes/resid_post.2.safetensors").is_file() and '"explained_variance"' in json.dumps(
        out
    )


def has_all_runs(folder: Path, out: Any) -> bool:
    back = load_file(folder / "back.safetensors")
    return bool(back) and (folder / "evil.gguf").is_file()


CHECKS: list[Callable[[Path, Any], bool]] = [
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where all of them work: a task uses what earlier ones have made."""
    return tmp_path_factory.mktemp("tasks")


@pytest.mark.long
@pytest.mark.parametrize(("number", "title", "text"), TASKS, ids=[f"{n}-{title}" for n, title, _ in TASKS])
def test_a_task_by_its_page_alone(folder, number, title, text):
    printed = "null"
    for line in commands(text):
        words = shlex.split(line.removeprefix("mindscope "))
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "mindscope", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        printed = done.stdout if words[-1] == "--json" or "--json" in words else "null"
    assert CHECKS[int(number) - 1](folder, json.loads(printed)), printed[:2000]
