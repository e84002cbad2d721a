"""What a graph's page reads: the public graph JSON made small, and what is known of its nodes."""

from collections.abc import Iterable, Mapping
from typing import Any

from mindscope.circuits.files.public_form import KINDS
from mindscope.circuits.graph.findings import AttentionFindings, GraphValidation
from mindscope.errors import DataError

PUBLIC = ("metadata", "qParams", "nodes", "links")
"""The parts of a public graph document; what else a tool wrote goes through the page untouched."""

Details = Mapping[tuple[int, int], Mapping[str, Any]]
"""Public feature documents by (layer, latent)."""


def build_page_content(
    document: Mapping[str, Any],
    details: Details | None = None,
    validation: GraphValidation | Mapping[str, Any] | None = None,
    qk: AttentionFindings | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The values that the page's script reads; links refer to nodes by number instead of by name.

    Raises:
        DataError: the document is not a public graph, or something given beside it does not fit.
    """
    try:
        nodes, tokens = list(document["nodes"]), list(document["metadata"]["prompt_tokens"])
        shown = [_node(node, len(tokens)) for node in nodes]
        numbers = {node["node_id"]: number for number, node in enumerate(nodes)}
        links = [
            [numbers[link["source"]], numbers[link["target"]], link["weight"]] for link in document["links"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the page needs a public graph document: {type(error).__name__} {error}") from None
    if len(numbers) != len(nodes):
        raise DataError("two nodes of the graph have the same node_id: write the file again with mindscope")
    return {
        "metadata": document["metadata"],
        "qParams": document.get("qParams", {}),
        "beside": {key: value for key, value in document.items() if key not in PUBLIC},
        "nodes": nodes,
        "shown": shown,
        "layers": _layers(shown),
        "links": links,
        "details": _details(details or {}, shown),
        "validation": _validation(validation),
        "qk": _attention(qk, numbers),
    }


def _node(node: Mapping[str, Any], n_tokens: int) -> dict[str, Any]:
    """Where a node stands and what it is, in the page's own words."""
    kind = KINDS.get(node["feature_type"])
    position = int(node["ctx_idx"])
    if kind is None:
        raise ValueError(f"no kind of node is called {node['feature_type']!r}")
    if not 0 <= position < n_tokens:
        raise ValueError(f"node {node['node_id']} is at position {position} of {n_tokens}")
    layer = -1 if kind == "token" else int(node["layer"])
    # The middle of a feature's id is its number in its layer; `feature` mixes in the layer.
    latent = int(str(node["node_id"]).split("_")[1]) if kind == "feature" else None
    return {"kind": kind, "layer": layer, "position": position, "latent": latent}


def _layers(shown: Iterable[Mapping[str, Any]]) -> int:
    """How many layers the page draws: up to the highest that has a feature or an error."""
    return 1 + max((node["layer"] for node in shown if node["kind"] in ("feature", "error")), default=-1)


def _details(details: Details, shown: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    used = {(node["layer"], node["latent"]) for node in shown if node["kind"] == "feature"}
    for place, detail in details.items():
        # A number that is not whole (NaN, or one too large) has no place among features.
        if (
            not isinstance(detail, Mapping)
            or not isinstance(detail.get("examples_quantiles", []), list)
            or not isinstance(detail.get("index", 0), int)
        ):
            raise DataError(
                f"the details of feature {place} are not a public feature document: see feature_json"
            )
    return {f"{layer}_{latent}": details[layer, latent] for layer, latent in used & details.keys()}


def _validation(validation: GraphValidation | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Pairs of predicted and actual changes; the page reads the overall agreement at the top."""
    if not validation:
        return None
    if isinstance(validation, GraphValidation):
        values = validation.to_json()
        validation = {**values.pop("overall"), **values, "labels": list(validation.labels)}
    predicted, actual = validation.get("predicted"), validation.get("actual")
    if not isinstance(predicted, list | tuple) or not isinstance(actual, list | tuple):
        raise DataError("a validation needs lists `predicted` and `actual`")
    if len(predicted) != len(actual):
        raise DataError(f"the validation predicts {len(predicted)} changes but has {len(actual)} actual ones")
    return validation


def _attention(
    qk: AttentionFindings | Mapping[str, Any] | None, numbers: Mapping[str, int]
) -> Mapping[str, Any] | None:
    if not qk:
        return None
    qk = qk.to_json() if isinstance(qk, AttentionFindings) else qk
    unknown = set(qk) - {"scores", "loadings"}
    if unknown:
        raise DataError(f"the page shows `scores` and `loadings` of heads, not {sorted(unknown)}")
    loadings = [edge for edge in qk.get("loadings", ()) if {edge["source"], edge["target"]} <= numbers.keys()]
    return {"scores": list(qk.get("scores", ())), "loadings": loadings}
