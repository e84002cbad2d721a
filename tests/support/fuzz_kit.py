"""Readers of files, small files that they read, and ways to spoil these: for hypothesis and for atheris.

A target takes bytes, makes a file or folder of them, and reads it. Whatever the bytes are, it must end with a
value or a `MindscopeError`, in bounded time and memory. JSON inside other files is spoilt as JSON: a mutated
archive would hardly ever get past its checksums.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz_readers import (
    at,
    headed,
    read_artifact,
    read_case,
    read_dictionary,
    read_expression,
    read_foreign,
    read_gguf,
    read_gguf_steering,
    read_graph,
    read_index,
    read_intervention,
    read_manifest,
    read_member,
    read_metrics,
    read_policy,
    read_pt,
    read_public_graph,
    read_record,
    read_rows,
    read_steering,
    read_thresholds,
    read_trait,
    read_vectors,
)
from fuzz_seeds import (
    detail_seeds,
    files,
    foreign_seeds,
    header_of,
    index_seeds,
    intervention_seeds,
    manifest_seeds,
    parquet_seeds,
    policy_seeds,
    record_seeds,
    row_seeds,
    trait_json_seeds,
    view_seeds,
)
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
