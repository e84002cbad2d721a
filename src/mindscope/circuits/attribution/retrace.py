"""A graph's prompt held once more, to ask about what the graph itself does not keep.

A graph keeps numbers, not weights. To ask which heads carry an edge or what a target is in another pass, the
local replacement model is built again from the graph's tokens and settings, and the graph's features and
targets are matched with it. Whatever does not match was traced otherwise, and is refused.
"""

from collections.abc import Mapping
from typing import Any

import torch

from mindscope.circuits.attribution import targets
from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.targets import ResolvedTargets, TargetSpec
from mindscope.circuits.attribution.trace import trace
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.index_spaces import FeatureIndex, GraphRow
from mindscope.circuits.replacement.injections import Injections
from mindscope.circuits.replacement.local_model import LocalReplacementModel, ReplacementModel
from mindscope.core import Progress
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
    with torch.no_grad():
        return replacement.freeze(model, Row(graph.ids, len(graph.ids)), skip_tokens=graph.skip_tokens)


def require_traced_with(model: Model, replacement: ReplacementModel, graph: AttributionGraph) -> None:
    """Raises DataError if the graph says that it is of another model or replacement, or of a steered one."""
    if edits := graph.metadata.get("edits"):
        raise DataError(
            f"this graph is of the model under steering ({'; '.join(map(str, edits))}), and what is asked "
            "runs on the model as it is: trace the prompt unsteered"
        )
    if graph.fingerprint not in ("", model.fingerprint):
        raise DataError(f"this graph is of another model than {model.name}: load the one it was traced on")
    if graph.replacement_digest not in ("", replacement.digest()):
        raise DataError("this graph was traced with another replacement: use the same dictionary, or neurons")


def match_features(local_model: LocalReplacementModel, graph: AttributionGraph) -> FeatureIndex:
    """Which feature of the local model each feature of a graph is.

    Raises:
        DataError: one is not active.
    """
    in_graph = graph.features.to(local_model.features.device)
    if not len(in_graph):
        return in_graph.new_zeros(0)
    # (layer, position, latent) as one number, in the same order; both lists are sorted by it.
    sizes = torch.stack([in_graph.amax(0), local_model.features.amax(0)]).amax(0) + 1
    keys, active_keys = (
        (features[:, 0] * sizes[1] + features[:, 1]) * sizes[2] + features[:, 2]
        for features in (in_graph, local_model.features)
    )
    index = torch.searchsorted(active_keys, keys).clamp(max=len(active_keys) - 1)
    if not bool((active_keys[index] == keys).all()):
        missing = int((active_keys[index] != keys).nonzero()[0, 0])
        raise DataError(
            f"feature {graph.id(missing)} of the graph is not active in this model: it was traced with "
            "another replacement or other settings"
        )
    return index


def resolve_graph_targets(
    model: Model, local_model: LocalReplacementModel, graph: AttributionGraph, spec: TargetSpec | None
) -> ResolvedTargets:
    """The targets of a graph, ready to be traced again.

    Args:
        model: the model.
        local_model: of the graph's prompt.
        graph: whose targets.
        spec: what they were traced with; None where the graph says all about them.

    Raises:
        DataError: the graph does not say enough, or `spec` resolves to other targets.
    """
    resolved = (spec or _spec_of_graph(graph)).resolve(model, local_model)
    if [(target.label, target.token) for target in resolved.targets] != [
        (target.label, target.token) for target in graph.targets
    ]:
        raise DataError("the graph explains other targets: give targets= as the graph was traced with")
    return resolved


def inject_graph_rows(
    model: Model,
    local_model: LocalReplacementModel,
    graph: AttributionGraph,
    rows: GraphRow,
    spec: TargetSpec | None,
) -> Injections:
    """Where some rows of a graph begin, features and targets.

    Raises:
        DataError: see `resolve_graph_targets`, where there are targets among them, and `match_features`.
    """
    is_feature = rows < graph.n_features
    matched = match_features(local_model, graph)
    parts = [local_model.inject_features(matched[rows[is_feature]])]
    if not bool(is_feature.all()):
        resolved = resolve_graph_targets(model, local_model, graph, spec)
        parts.append(resolved.injections[rows[~is_feature] - graph.n_features])
    # The parts stand one behind the other; back to the order that was asked for.
    order = torch.cat([is_feature.nonzero().flatten(), (~is_feature).nonzero().flatten()]).argsort()
    return Injections.concatenate(parts)[order]


def trace_again(
    model: Model,
    replacement: ReplacementModel,
    graph: AttributionGraph,
    spec: TargetSpec | None = None,
    progress: Progress | None = None,
) -> AttributionGraph:
    """Trace a graph's prompt once more, with the settings that the graph names.

    Args:
        model: the model, in float32.
        replacement: what replaces its MLPs.
        graph: whose tokens, targets and settings.
        spec: what it was traced with; None where the graph says all about its targets.
        progress: as of `trace`.

    Raises:
        DataError: the graph is of another model or replacement, or does not say enough.
    """
    require_traced_with(model, replacement, graph)
    settings = graph.metadata.get("config")
    if not isinstance(settings, Mapping) or min(graph.ids) < 0:
        raise DataError("the graph does not say how it was traced: another tool wrote it")
    config = TraceConfig.model_validate(settings)
    row = Row(graph.ids, len(graph.ids))
    return trace(model, replacement, row, config, targets=spec or _spec_of_graph(graph), progress=progress)


def _spec_of_graph(graph: AttributionGraph) -> TargetSpec:
    """The targets that a graph says it has."""
    # Tokens say all: their weights are probabilities, which the prompt gives again.
    ids = [target.token for target in graph.targets if target.token is not None]
    if len(ids) == len(graph.targets):
        return targets.tokens(*ids)
    return _spec_of(graph.target_spec)


def _spec_of(description: Mapping[str, Any]) -> TargetSpec:
    match description.get("kind"):
        case "top_logits":
            return targets.top_logits(description["most"], description["probability"])
        case "difference":
            return targets.difference(description["more"], description["less"])
        case "feature":
            return targets.feature(description["layer"], description["position"], description["latent"])
        case "together":
            return targets.together(*map(_spec_of, description["targets"]))
        case "tokens":
            return targets.tokens(*description["tokens"])
        case kind:
            raise DataError(
                f"the graph does not hold all of its targets ({kind}): give targets= as it was traced with"
            )
