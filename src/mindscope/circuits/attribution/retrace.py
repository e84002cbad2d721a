"""A graph's prompt held once more, to ask about what the graph itself does not keep."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.circuits.attribution import targets
from mindscope.circuits.attribution.targets import ResolvedTargets, TargetSpec
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.replacement.local_model import Injections, LocalReplacementModel, ReplacementModel
from mindscope.errors import DataError
from mindscope.models import Model, Row


def rebuild_local_model(
    model: Model, replacement: ReplacementModel, graph: AttributionGraph
) -> LocalReplacementModel:
    """The local replacement model that a graph was traced in.

    A public graph does not say of which model or dictionary it is; then nothing is checked.

    Raises:
        DataError: the graph is of another model or replacement.
    """
    require_traced_with(model, replacement, graph)
    settings = dict(graph.metadata.get("config", {}))
    skip_tokens = settings.get("skip_tokens", settings.get("constant", 1))
    with torch.no_grad():
        return replacement.freeze(model, Row(graph.ids, len(graph.ids)), skip_tokens=skip_tokens)


def require_traced_with(model: Model, replacement: ReplacementModel, graph: AttributionGraph) -> None:
    """Raises DataError if the graph says that it is of another model or replacement."""
    if graph.fingerprint not in ("", model.fingerprint):
        raise DataError(f"this graph is of another model than {model.name}: load the one it was traced on")
    if graph.replacement_digest not in ("", replacement.digest):
        raise DataError("this graph was traced with another replacement: use the same dictionary, or neurons")


def match_features(local_model: LocalReplacementModel, graph: AttributionGraph) -> Int[Tensor, "features"]:
    """Which of `LocalReplacementModel.features` each feature of a graph is.

    Raises:
        DataError: one is not active.
    """
    wanted = graph.features.to(local_model.features.device)
    if not len(wanted):
        return wanted.new_zeros(0)
    sizes = torch.stack([wanted.amax(0), local_model.features.amax(0)]).amax(0) + 1
    number, known = (
        (some[:, 0] * sizes[1] + some[:, 1]) * sizes[2] + some[:, 2]
        for some in (wanted, local_model.features)
    )
    at = torch.searchsorted(known, number).clamp(max=len(known) - 1)
    if not bool((known[at] == number).all()):
        missing = int((known[at] != number).nonzero()[0, 0])
        raise DataError(
            f"feature {graph.id(missing)} of the graph is not active in this model: it was traced with "
            "another replacement or other settings"
        )
    return at


def resolve_graph_targets(
    model: Model, local_model: LocalReplacementModel, graph: AttributionGraph, spec: TargetSpec | None
) -> ResolvedTargets:
    """The targets of a graph, ready to be traced again.

    Args:
        model: the model.
        frozen: the graph's prompt.
        graph: whose targets.
        wanted: what they were found with; None where the graph says all about them.

    Raises:
        DataError: the graph does not say enough, or `wanted` finds other targets.
    """
    resolved = (spec or _described(graph)).resolve(model, local_model)
    if [(one.label, one.token) for one in resolved.targets] != [
        (one.label, one.token) for one in graph.targets
    ]:
        raise DataError("the graph explains other targets: give targets= as the graph was traced with")
    return resolved


def inject_graph_rows(
    model: Model,
    local_model: LocalReplacementModel,
    graph: AttributionGraph,
    rows: Int[Tensor, "k"],
    spec: TargetSpec | None,
) -> Injections:
    """Where some rows of a graph begin, features and targets.

    Raises:
        DataError: see `aims_of`, where there are targets among them, and `features_of`.
    """
    features = rows < graph.n_features
    known = match_features(local_model, graph)
    parts = [local_model.inject_features(known[rows[features]])]
    if not bool(features.all()):
        parts.append(
            resolve_graph_targets(model, local_model, graph, spec).injections[
                rows[~features] - graph.n_features
            ]
        )
    # the parts stand one behind the other; back to the order asked for
    order = torch.cat([features.nonzero().flatten(), (~features).nonzero().flatten()]).argsort()
    return Injections.concatenate(parts)[order]


def _described(graph: AttributionGraph) -> TargetSpec:
    """The targets that a graph says it has."""
    tokens = [one.token for one in graph.targets if one.token is not None]
    if len(tokens) == len(graph.targets):
        return targets.tokens(*tokens)
    return _of(graph.metadata.get("targets", {}))


def _of(about: Mapping[str, Any]) -> TargetSpec:
    match about.get("kind"):
        case "difference":
            return targets.difference(about["more"], about["less"])
        case "feature":
            return targets.feature(about["layer"], about["position"], about["latent"])
        case "together":
            return targets.together(*map(_of, about["targets"]))
        case "tokens":
            return targets.tokens(*about["tokens"])
        case kind:
            raise DataError(
                f"the graph does not hold all of its targets ({kind}): give targets= as it was traced with"
            )
