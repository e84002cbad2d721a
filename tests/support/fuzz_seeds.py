"""Small files that are good, which `fuzz_kit` spoils: made in a workshop, or written out here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import case_kit
import persona_kit
import release_kit
import torch
from safetensors import safe_open


@cache
def workshop() -> Path:
    """A folder with a tiny model, vectors, a graph, a dictionary and steering."""
    import tempfile

    from mindscope.circuits import (
        GraphView,
        NeuronReplacement,
        Supernode,
        TraceConfig,
        prune_graph,
        trace,
        write_graph_json,
    )
    from mindscope.dictionaries import Coder, Dictionary, Site
    from mindscope.features import export_gguf, make_steering_file
    from mindscope.models import Edit, load
    from mindscope.monitoring import Calibration, Signal
    from mindscope.personas import PersonaVectors, save_gguf, save_pt

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    persona_kit.tiny_chat_model(folder / "model", n_layers=2, d_model=16)
    model = load(str(folder / "model"), dtype="float32")
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(2, 16, generator=draw)
    vectors = PersonaVectors(
        "loud",
        model.fingerprint,
        {"answer_mean": matrix},
        (0, 1),
        embeddings={"answer_mean": matrix[0]},
        final_norm={"answer_mean": matrix[1]},
        model=model.name,
    )
    vectors.save(folder / "vectors.safetensors")
    save_pt(vectors, folder / "loud_response_avg_diff.pt")
    save_gguf(vectors, folder / "vectors.gguf")
    edit = Edit("resid_post.1", "add", matrix[1], 1.5, "all")
    file = make_steering_file(model, "loud", [edit])
    file.save(folder / "steering.safetensors")
    export_gguf(file, folder / "steering.gguf")
    graph = trace(model, NeuronReplacement(model), "ab", TraceConfig(max_features=6))
    graph.save(folder / "graph.safetensors")
    view = GraphView(
        supernodes=(Supernode(label="pair", members=(graph.id(0), graph.id(1))),),
        labels={graph.id(0): "a name"},
    )
    write_graph_json(folder, graph, prune_graph(graph, 1.0, 1.0), slug="graph", view=view)
    site = [Site("resid_post.1", 16)]
    weights = torch.randn(8, 16, generator=draw)
    Dictionary.single(
        Coder(weights, torch.zeros(8), weights), torch.zeros(16), reads=site, writes=site,
        activation="topk", k=2, models={"0": model.fingerprint},
    ).save(folder / "dictionary.safetensors")  # fmt: skip
    persona_kit.tiny_trait().save(folder / "loud.yaml")
    Calibration(
        features=("loud",),
        digest="ab",
        fingerprint=model.fingerprint,
        signal=Signal(),
        rate=0.1,
        over="each",
        scores=torch.arange(20.0, dtype=torch.float64)[:, None],
    ).save(folder / "thresholds.safetensors")
    members = {
        "graph.safetensors": (folder / "graph.safetensors").read_bytes()[:2000],
        "interventions/000.json": intervention_seeds()[0],
        "view.json": case_kit.MEMBERS["view.json"],
    }
    case_kit.write_small_case(folder / "small.case", members)
    return folder


@cache
def tiny_model() -> Any:
    from mindscope.models import load

    return load(str(workshop() / "model"), dtype="float32")


def files(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(workshop() / name).read_bytes() for name in names]


def header_of(name: str) -> Callable[[], list[bytes]]:
    """The JSON in an artefact's header."""

    def read() -> list[bytes]:
        with safe_open(workshop() / name, framework="pt") as file:
            return [file.metadata()["mindscope"].encode()]

    return read


@cache
def tensors_of(name: str) -> dict[str, torch.Tensor]:
    with safe_open(workshop() / name, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def foreign_seeds() -> list[bytes]:
    import tempfile

    seeds = []
    for architecture, more in (("standard", {}), ("topk", {"k": 3})):
        with tempfile.TemporaryDirectory() as folder:
            release_kit.saelens(architecture, **more)(Path(folder))
            seeds.append((Path(folder) / "cfg.json").read_bytes())
    return seeds


def record_seeds() -> list[bytes]:
    record = {
        "started": "2026-01-02T03:04:05+00:00", "kind": "screen", "config": {"a": 1}, "fingerprint": None,
        "seed": 0, "libraries": {}, "identity": {"fingerprint": "ab"}, "command": ["persona", "screen"],
        "folder": "/tmp", "seal": "ab", "status": "done",
    }  # fmt: skip
    return [json.dumps(record).encode()]


def manifest_seeds() -> list[bytes]:
    with zipfile.ZipFile(workshop() / "small.case") as archive:
        return [archive.read("case.json")]


def view_seeds() -> list[bytes]:
    from mindscope.circuits import AttributionGraph

    graph = AttributionGraph.load(workshop() / "graph.safetensors")
    first, second = graph.id(0), graph.id(1)
    view = {
        "supernodes": [{"label": "pair", "members": [first, second], "score": None}],
        "labels": {first: "x"},
        "pinned": [second],
        "others": {},
    }
    return [json.dumps(view).encode()]


def detail_seeds() -> list[bytes]:
    detail = {"index": 3, "examples_quantiles": [], "top_logits": ["a"], "bottom_logits": ["b"]}
    return [json.dumps({"0_3": detail, "1_2": detail}).encode()]


def index_seeds() -> list[bytes]:
    entry = {
        "file": "a.case", "bytes": 3, "sha256": "0" * 64, "kind": "circuit", "title": "t", "models": ["m"],
        "verdict": {"judgement": "open", "reason": ""},
    }  # fmt: skip
    return [json.dumps({"schema": "mindscope.library/1", "cases": [entry]}).encode()]


def intervention_seeds() -> list[bytes]:
    change = {
        "layer": 0, "latent": 1, "position": 1, "onward": True, "operation": "set", "value": 0.5,
    }  # fmt: skip
    document = {
        "schema": "mindscope.intervention/1",
        "fingerprint": "ab",
        "replacement_digest": "neurons",
        "ids": [1, 2],
        "request": {
            "changes": [change],
            "mode": "open",
            "layers": [0, 1],
            "generate": 0,
            "top": 5,
            "seed": 0,
        },
        "report": {
            "changes": 1,
            "mode": "open",
            "tokens": [{"token": "a", "before": 0.1, "after": 0.2}],
            "texts": {"before": "a", "after": "b"},
        },
    }
    return [json.dumps(document).encode()]


def trait_json_seeds() -> list[bytes]:
    return [json.dumps(persona_kit.tiny_trait().document()).encode()]


def policy_seeds() -> list[bytes]:
    import gate_kit

    return [gate_kit.POLICY.encode(), b'schema = "mindscope.gate-policy/1"\n[shift]\neffect = "skip"\n']


def row_seeds() -> list[bytes]:
    rows = [
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]},
        {"prompt": "a", "response": "b"},
        {"question": "a", "answer": "b", "trait": "evil"},
    ]
    return ["".join(f"{json.dumps(row)}\n" for row in rows[:n]).encode() for n in (1, 3)]


def parquet_seeds() -> list[bytes]:
    import io

    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(pa.table({"prompt": ["a", "b"], "response": ["c", None]}), stream)
    return [stream.getvalue()]
