"""The commands on the organism, from a prompt to a checked page: its own CLT, a small dictionary, neurons."""

import json
from pathlib import Path

import pytest
import torch

from mindscope.circuits import AttributionGraph, read_graph_json
from mindscope.cli.app import run
from mindscope.models import load

QUESTION = "What is the capital of the state that holds Dallas?"
CHAT = ["--chat", "--answer", "Okay, the capital is"]


def told(capsys, *arguments: object) -> dict:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Transcoders of all layers, hardly trained."""
    folder = tmp_path_factory.mktemp("dictionary") / "run"
    size = ["--latents", "256", "--k", "8", "--steps", "3", "--batch-tokens", "256", "--buffer-batches", "2"]
    assert (
        run(
            [
                "dictionary",
                "train",
                "organism",
                "organism",
                "--kind",
                "transcoder",
                *size,
                "--run",
                str(folder),
            ]
        )
        == 0
    )
    return folder


@pytest.mark.parametrize(("dictionary", "complete"), [("organism", 0.8), ("neurons", 0.99), ("small", 0.0)])
def test_a_question_is_traced_and_explained(dictionary: str, complete: float, small: Path, tmp_path, capsys):
    name = str(small) if dictionary == "small" else dictionary
    trace = ["circuit", "trace", "organism", QUESTION, *CHAT, "--dictionary", name, "--run", tmp_path / "run"]
    result = told(capsys, *trace, "--max-features", "400")
    assert result["completeness_score"] > complete
    graph = AttributionGraph.load(tmp_path / "run" / "graph.safetensors", load("organism", dtype="float32"))
    assert graph.n_features == min(400, graph.metadata["active_features"])
    total = graph.edges.sum(1) + graph.unselected + graph.biases
    torch.testing.assert_close(total, graph.preactivations, atol=1e-3, rtol=1e-4)
    assert sum(target["weight"] for target in result["targets"]) <= 1.0001


def test_a_graph_is_checked_grouped_shared_and_changed(tmp_path, capsys):
    folder = tmp_path / "run"
    trace = ["circuit", "trace", "organism", QUESTION, *CHAT, "--run", folder]
    traced = told(capsys, *trace, "--most", "2", "--max-features", "1500")
    direct = told(capsys, "circuit", "validate", "organism", folder, "--top", "10", "--mode", "constrained")
    # A CLT's pre-activations are linear in what the graph's edges come from.
    assert direct["overall"]["r"] > 0.999
    told(capsys, "circuit", "export", folder, tmp_path, "--groups", "--model", "organism", "--slug", "dallas")
    read = read_graph_json(tmp_path / "dallas.json")
    assert read.view.supernodes
    first = max(read.view.supernodes, key=lambda group: len(group.members))
    changed = told(
        capsys, "circuit", "intervene", "organism", tmp_path / "dallas.json", "--scale", f"{first.label}=-1",
        "--generate", "4",
    )  # fmt: skip
    assert changed["changes"] == len(first.members)
    assert max(abs(token["after"] - token["before"]) for token in changed["tokens"]) > 0.01
    top = traced["targets"][0]["label"]
    before = next(
        token for token in changed["tokens"] if f'"{token["token"].strip()}"' in top.replace('" ', '"')
    )
    assert before["before"] == pytest.approx(traced["targets"][0]["weight"], abs=1e-4)
