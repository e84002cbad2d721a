"""Graphs on disk: an artefact whose edges are kept sparsely if most of them are zero."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.errors import StoreError
from mindscope.store import load_artifact, save_artifact

SCHEMA = "mindscope.attribution_graph"
VERSION = 1

EDGES, STARTS, SOURCES, SIZE = "edges", "edges.starts", "edges.sources", "edges.size"


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
    for name in values:
        if name not in plain:
            raise StoreError(f"{path} lacks {name!r}: trace it again")
    edges = _unpacked(path, artifact.tensors)
    return {name: artifact.tensors[name] for name in tensors}, edges, {name: plain[name] for name in values}


def _packed(edges: Float[Tensor, "rows sources"]) -> dict[str, Tensor]:
    """Compressed rows (starts, columns, values) where they take less room than all values."""
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
