"""Readers of files, small files that they read, and ways to spoil these: for hypothesis and for atheris.

A target takes bytes, makes a file or folder of them, and reads it. Whatever the bytes are, it must end with a
value or a `MindscopeError`, in bounded time and memory. JSON inside other files is spoilt as JSON: a mutated
archive would hardly ever get past its checksums.
"""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import case_kit
import persona_kit
import release_kit
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from spoil_kit import spoil_bytes, spoil_value

from mindscope.errors import MindscopeError


@dataclass(frozen=True)
class FuzzTarget:
    """A reader and what it is fed.

    Attributes:
        seeds: good files, whose mutations get far.
        read: makes a file in the folder of the bytes, and reads it.
        is_json: seeds are JSON, spoilt as JSON.
        is_cheap: takes less than a tenth of a millisecond or so; read a million times.
    """

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[Path, bytes], object]
    is_json: bool = False
    is_cheap: bool = True


# Files that are good


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


# Readers


def at(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """The bytes are a file of this name."""

    def act(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return act


def headed(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """The bytes are the JSON in the header of a good artefact."""

    def act(folder: Path, content: bytes) -> object:
        text = content.decode("utf-8", "replace")
        save_file(tensors_of(name), folder / name, metadata={"mindscope": text})
        return read(folder / name)

    return act


def read_vectors(path: Path) -> object:
    from mindscope.personas import PersonaVectors

    return PersonaVectors.load(path)


def read_steering(path: Path) -> object:
    from mindscope.features import SteeringFile

    return SteeringFile.load(path)


def read_graph(path: Path) -> object:
    from mindscope.circuits import AttributionGraph

    return AttributionGraph.load(path)


def read_public_graph(path: Path) -> object:
    from mindscope.circuits import read_graph_json

    return read_graph_json(path)


def read_dictionary(path: Path) -> object:
    from mindscope.dictionaries import Dictionary

    return Dictionary.load(path)


def read_artifact(path: Path) -> object:
    from mindscope.store import load_artifact

    return load_artifact(path, schema="mindscope.persona_vectors", version=9)


def read_pt(path: Path) -> object:
    from mindscope.personas import load_pt

    return load_pt(path, tiny_model())


def read_gguf(path: Path) -> object:
    from mindscope.personas import load_gguf

    return load_gguf(path, tiny_model())


def read_gguf_steering(path: Path) -> object:
    from mindscope.features import read_gguf_file

    return read_gguf_file(path)


def read_thresholds(path: Path) -> object:
    from mindscope.monitoring import Calibration

    return Calibration.load(path)


def read_foreign(folder: Path, content: bytes) -> object:
    """The bytes are the settings of a SAELens release."""
    from mindscope.dictionaries import read_dictionary as read

    if not (folder / "sae_weights.safetensors").exists():
        release_kit.saelens("standard")(folder)
    (folder / "cfg.json").write_bytes(content)
    return read(folder)


def foreign_seeds() -> list[bytes]:
    import tempfile

    seeds = []
    for architecture, more in (("standard", {}), ("topk", {"k": 3})):
        with tempfile.TemporaryDirectory() as folder:
            release_kit.saelens(architecture, **more)(Path(folder))
            seeds.append((Path(folder) / "cfg.json").read_bytes())
    return seeds


def read_record(folder: Path, content: bytes) -> object:
    from mindscope.store import list_runs, read_run

    (folder / "run.json").write_bytes(content)
    list_runs(folder)
    info = read_run(folder)
    return info.is_made_here


def record_seeds() -> list[bytes]:
    record = {
        "started": "2026-01-02T03:04:05+00:00", "kind": "screen", "config": {"a": 1}, "fingerprint": None,
        "seed": 0, "libraries": {}, "identity": {"fingerprint": "ab"}, "command": ["persona", "screen"],
        "folder": "/tmp", "seal": "ab", "status": "done",
    }  # fmt: skip
    return [json.dumps(record).encode()]


def read_metrics(folder: Path, content: bytes) -> object:
    from mindscope.store import Run

    with Run.open(folder / "run", kind="fuzz", config={}) as run:
        (folder / "run" / "metrics.jsonl").write_bytes(content)
        run.log(step=1)
        return list(run.metrics())


def read_case(path: Path) -> object:
    from mindscope.jobs.library.results import summarise
    from mindscope.library import open_case

    return summarise(open_case(path))


def read_manifest(folder: Path, content: bytes) -> object:
    """The bytes are the manifest of a case with the members that it should have."""
    from mindscope.library import open_case

    with zipfile.ZipFile(folder / "a.case", "w") as archive:
        archive.writestr("case.json", content)
        for member in open_case(workshop() / "small.case").manifest.members:
            with zipfile.ZipFile(workshop() / "small.case") as good:
                archive.writestr(member.name, good.read(member.name))
    return read_case(folder / "a.case")


def manifest_seeds() -> list[bytes]:
    with zipfile.ZipFile(workshop() / "small.case") as archive:
        return [archive.read("case.json")]


def read_member(name: str) -> Callable[[Path, bytes], object]:
    """The bytes are one member of a good case of a graph, which is opened with its page."""

    def act(folder: Path, content: bytes) -> object:
        import shutil

        from mindscope.jobs import SilentReporter
        from mindscope.jobs.library import OpenCaseSpec, unpack_case

        members = {"graph.safetensors": (workshop() / "graph.safetensors").read_bytes(), name: content}
        case_kit.write_small_case(folder / "a.case", members)
        shutil.rmtree(folder / "opened", ignore_errors=True)
        return unpack_case(
            OpenCaseSpec(case=folder / "a.case", to=folder / "opened"), reporter=SilentReporter()
        )

    return act


def view_seeds() -> list[bytes]:
    names = read_graph(workshop() / "graph.safetensors")
    first, second = names.id(0), names.id(1)  # type: ignore[attr-defined]
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


def read_index(path: Path) -> object:
    from mindscope.library import LibraryIndex

    return LibraryIndex.load(path)


def index_seeds() -> list[bytes]:
    entry = {
        "file": "a.case", "bytes": 3, "sha256": "0" * 64, "kind": "circuit", "title": "t", "models": ["m"],
        "verdict": {"judgement": "open", "reason": ""},
    }  # fmt: skip
    return [json.dumps({"schema": "mindscope.library/1", "cases": [entry]}).encode()]


def read_intervention(path: Path) -> object:
    from mindscope.jobs.circuit import InterventionRecord

    record = InterventionRecord.load(path)
    return [change.intervention() for change in record.request.changes]


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


def read_trait(path: Path) -> object:
    from mindscope.personas import Trait

    return Trait.load(path)


def trait_json_seeds() -> list[bytes]:
    return [json.dumps(persona_kit.tiny_trait().document()).encode()]


def read_policy(path: Path) -> object:
    from mindscope.gate.policy import read_policy as read

    return read(path)


def policy_seeds() -> list[bytes]:
    import gate_kit

    return [gate_kit.POLICY.encode(), b'schema = "mindscope.gate-policy/1"\n[shift]\neffect = "skip"\n']


def read_rows(path: Path) -> object:
    from mindscope.data import ConversationSource, DataFile

    source = ConversationSource.of(DataFile(path), refuse=False)
    return source.describe()


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


def read_expression(folder: Path, content: bytes) -> object:
    """Steering in one line; what is read is written and read again."""
    from mindscope.features import SteerExpression

    del folder
    expression = SteerExpression.parse(content.decode("utf-8", "replace"))
    assert SteerExpression.parse(str(expression)) == expression
    return expression


TARGETS: Mapping[str, FuzzTarget] = {
    "artifact": FuzzTarget(files("vectors.safetensors"), at("a.safetensors", read_artifact)),
    "vectors": FuzzTarget(
        header_of("vectors.safetensors"), headed("vectors.safetensors", read_vectors), True
    ),
    "steering": FuzzTarget(
        header_of("steering.safetensors"), headed("steering.safetensors", read_steering), True
    ),
    "graph": FuzzTarget(header_of("graph.safetensors"), headed("graph.safetensors", read_graph), True),
    "graph-file": FuzzTarget(files("graph.safetensors"), at("graph.safetensors", read_graph)),
    "graph-json": FuzzTarget(files("graph.json"), at("graph.json", read_public_graph), True, is_cheap=False),
    "dictionary": FuzzTarget(
        header_of("dictionary.safetensors"), headed("dictionary.safetensors", read_dictionary), True
    ),
    "dictionary-settings": FuzzTarget(foreign_seeds, read_foreign, True),
    "thresholds": FuzzTarget(
        header_of("thresholds.safetensors"), headed("thresholds.safetensors", read_thresholds), True
    ),
    "gguf": FuzzTarget(files("vectors.gguf"), at("a.gguf", read_gguf), is_cheap=False),
    "gguf-steering": FuzzTarget(files("steering.gguf"), at("a.gguf", read_gguf_steering), is_cheap=False),
    "pt": FuzzTarget(
        files("loud_response_avg_diff.pt"), at("loud_response_avg_diff.pt", read_pt), is_cheap=False
    ),
    "run-record": FuzzTarget(record_seeds, read_record, True),
    "metrics": FuzzTarget(lambda: [b'{"time": 1.0, "loss": 0.5}\n' * 3], read_metrics, is_cheap=False),
    "case": FuzzTarget(files("small.case"), at("a.case", read_case)),
    "case-manifest": FuzzTarget(manifest_seeds, read_manifest, True),
    "case-view": FuzzTarget(view_seeds, read_member("view.json"), True, is_cheap=False),
    "case-details": FuzzTarget(detail_seeds, read_member("details.json"), True, is_cheap=False),
    "library-index": FuzzTarget(index_seeds, at("library.json", read_index), True),
    "intervention": FuzzTarget(intervention_seeds, at("change.json", read_intervention), True),
    "trait-yaml": FuzzTarget(files("loud.yaml"), at("loud.yaml", read_trait), is_cheap=False),
    "trait-json": FuzzTarget(trait_json_seeds, at("loud.json", read_trait), True),
    "policy": FuzzTarget(policy_seeds, at("policy.toml", read_policy)),
    "rows-jsonl": FuzzTarget(row_seeds, at("rows.jsonl", read_rows)),
    "rows-csv": FuzzTarget(lambda: [b"prompt,response\na,b\n"], at("rows.csv", read_rows)),
    "rows-parquet": FuzzTarget(parquet_seeds, at("rows.parquet", read_rows), is_cheap=False),
    "expression": FuzzTarget(
        lambda: [b"1.5 runs/patient@14[all]", b"cap 2 runs/evil[answer]", b"a@1,2 - 0.5 b"], read_expression
    ),
}
"""Every reader of a file that somebody else may have written."""


def feed(target: FuzzTarget, folder: Path, content: bytes) -> bool:
    """Read once; whether it was taken. Anything but a value or a `MindscopeError` is raised."""
    try:
        target.read(folder, content)
    except MindscopeError:
        return False
    return True


def spoil(target: FuzzTarget, content: bytes, draw: random.Random) -> bytes:
    """The content with something wrong with it."""
    if target.is_json and draw.random() < 0.8:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict | list) and document:
            for _ in range(draw.choice((1, 1, 1, 2, 4))):
                document = spoil_value(document, draw)
            return json.dumps(document).encode()
    return spoil_bytes(content, draw)
