"""Graphs on disk: an artefact whose edges are kept sparsely if most of them are zero.

Version 2 has fields of its own for what version 1 kept in `metadata`; `from_version_1` reads the old form.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor

from mindscope.circuits.graph.findings import AttentionFindings, GraphValidation
from mindscope.circuits.graph.nodes import AttributionTarget
from mindscope.errors import StoreError
from mindscope.store import load_artifact, refusing_damage, save_artifact

SCHEMA = "mindscope.attribution_graph"
VERSION = 2

EDGES, STARTS, SOURCES, SIZE = "edges", "edges.starts", "edges.sources", "edges.size"

Findings = TypeVar("Findings", AttentionFindings, GraphValidation)


def write_graph(
    path: Path | str,
    tensors: Mapping[str, Tensor],
    edges: Float[Tensor, "rows sources"],
    values: Mapping[str, Any],
) -> None:
    """Write a graph's tensors, edges and plain values.

    Raises:
        StoreError: as `store.save_artifact`.
    """
    save_artifact(
        path,
        {**tensors, **_packed(edges)},
        schema=SCHEMA,
        version=VERSION,
        metadata={"graph": dict(values), "fingerprint": values["fingerprint"]},
    )


def read_graph(
    path: Path | str, tensors: Sequence[str], values: Sequence[str], fingerprint: str | None
) -> tuple[dict[str, Tensor], Float[Tensor, "rows sources"], dict[str, Any]]:
    """Read what :func:`write_graph` wrote: the tensors and values of these names, and the dense edges.

    Raises:
        StoreError: as `store.load_artifact`, or one of the names is missing, or the edges do not add up.
    """
    artifact = load_artifact(path, schema=SCHEMA, version=VERSION, fingerprint=fingerprint)
    plain = artifact.metadata.get("graph")
    if not isinstance(plain, dict):
        raise StoreError(f"{path} holds no graph: trace it again")
    for name, held in ((name, artifact.tensors) for name in tensors):
        if name not in held:
            raise StoreError(f"{path} lacks {name!r}: trace it again")
    if artifact.metadata["version"] == 1:
        with refusing_damage(path, "trace it again"):
            plain = from_version_1(plain)
    for name in values:
        if name not in plain:
            raise StoreError(f"{path} lacks {name!r}: trace it again")
    edges = _unpacked(path, artifact.tensors)
    return {name: artifact.tensors[name] for name in tensors}, edges, {name: plain[name] for name in values}


def from_version_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a graph in today's form.

    Version 1 called the replacement's digest `dictionary`, and kept its name (under the same word), the
    tokens that are skipped (`config.constant`), targets, heads and validation in `metadata`.
    """
    metadata = dict(values.get("metadata") or {})
    config = dict(metadata.pop("config", {}))
    if "constant" in config:
        config["skip_tokens"] = config.pop("constant")
    if config:
        metadata["config"] = config
    rest = {name: value for name, value in values.items() if name not in ("dictionary", "metadata")}
    return {
        **rest,
        "replacement_digest": values.get("dictionary", ""),
        "replacement_name": metadata.pop("dictionary", None),
        "skip_tokens": config.get("skip_tokens", 1),
        "target_spec": metadata.pop("targets", {}),
        "attention": metadata.pop("attention", None),
        "validation": metadata.pop("validation", None),
        "metadata": metadata,
    }


def parse_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as the fields of a graph; raises TypeError or ValueError, in one line, for what is not."""
    for name in ("fingerprint", "replacement_digest"):
        if not isinstance(values[name], str):
            raise ValueError(f"{name} is no text")
    if not isinstance(values["replacement_name"], str | None):
        raise ValueError("replacement_name is no text")
    for name in ("metadata", "target_spec"):
        if not isinstance(values[name], Mapping):
            raise ValueError(f"{name} is no mapping")
    return {
        **values,
        "ids": tuple(map(int, values["ids"])),
        "tokens": tuple(map(str, values["tokens"])),
        "n_layers": int(values["n_layers"]),
        "targets": tuple(map(parse_target, values["targets"])),
        "skip_tokens": int(values["skip_tokens"]),
        "attention": parse_findings(AttentionFindings, values["attention"]),
        "validation": parse_findings(GraphValidation, values["validation"]),
    }


def parse_target(values: Mapping[str, Any]) -> AttributionTarget:
    """A target; raises TypeError or ValueError, in one line, for what is none."""
    target = AttributionTarget(**values)
    if not isinstance(target.label, str):
        raise ValueError("a target's label is no text")
    for name in ("token", "layer", "position"):
        if type(getattr(target, name)) not in (int, NoneType):
            raise ValueError(f"the {name} of the target {target.label!r} is no whole number")
    if type(target.weight) not in (int, float) or not -(2.0**127) < target.weight < 2.0**127:
        raise ValueError(f"the weight of the target {target.label!r} is no number")
    return target


def parse_findings(kind: type[Findings], value: Any) -> Findings | None:
    """Findings that are kept with a graph; raises ValueError, in one line, for another document."""
    try:
        return None if value is None else kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _packed(edges: Float[Tensor, "rows sources"]) -> dict[str, Tensor]:
    """Compressed rows (starts, columns, values) where they take less room than all values."""
    # Kept sparsely, an edge takes its value and its column.
    row, column = edges.nonzero(as_tuple=True)
    if 2 * len(row) >= edges.numel():
        return {EDGES: edges}
    counts = torch.bincount(row, minlength=len(edges))
    return {
        EDGES: edges[row, column],
        STARTS: torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        SOURCES: column.int(),
        SIZE: torch.tensor(edges.shape),
    }


def _unpacked(path: Path | str, tensors: Mapping[str, Tensor]) -> Float[Tensor, "rows sources"]:
    edges = tensors.get(EDGES)
    if edges is not None and edges.ndim == 2:
        return edges
    parts = [tensors.get(name) for name in (EDGES, STARTS, SOURCES, SIZE)]
    if not all(part is not None and part.ndim == 1 for part in parts):
        raise StoreError(f"{path} holds no edges: trace it again")
    values, starts, sources, size = (part for part in parts if part is not None)
    # Whoever wrote the file: nothing is indexed with before it is known to lie inside.
    counts = starts.diff()
    fits = (
        len(size) == 2
        and (size >= 0).all()
        and len(starts) == int(size[0]) + 1
        and int(starts[0]) == 0
        and (counts >= 0).all()
        and int(starts[-1]) == len(values) == len(sources)
        and bool(((sources >= 0) & (sources < size[1])).all())
    )
    if not fits:
        raise StoreError(f"{path} has edges that do not fit together: copy it or trace it again")
    dense = values.new_zeros(*size.tolist())
    dense[torch.arange(len(counts)).repeat_interleave(counts), sources.long()] = values
    return dense
