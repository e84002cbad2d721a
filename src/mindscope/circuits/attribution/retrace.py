"""A graph's prompt held once more, to ask about what the graph itself does not keep."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.circuits.attribution import targets
from mindscope.circuits.attribution.targets import Aims, Wanted
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.replacement.local_model import Frozen, Replacement, Seeds
from mindscope.errors import DataError
from mindscope.models import Model, Row


def refrozen(model: Model, replacement: Replacement, graph: AttributionGraph) -> Frozen:
    """The local replacement model that a graph was traced in.

    A public graph does not say of which model or dictionary it is; then nothing is checked.

    Raises:
        DataError: the graph is of another model or replacement.
    """
    require_same(model, replacement, graph)
    constant = dict(graph.metadata.get("config", {})).get("constant", 1)
    with torch.no_grad():
        return replacement.freeze(model, Row(graph.ids, len(graph.ids)), constant=constant)


def require_same(model: Model, replacement: Replacement, graph: AttributionGraph) -> None:
    """Raises DataError if the graph says that it is of another model or replacement."""
    if graph.fingerprint not in ("", model.fingerprint):
        raise DataError(f"this graph is of another model than {model.name}: load the one it was traced on")
    if graph.dictionary not in ("", replacement.digest):
        raise DataError("this graph was traced with another replacement: use the same dictionary, or neurons")


def features_of(frozen: Frozen, graph: AttributionGraph) -> Int[Tensor, "features"]:
    """Which of `Frozen.features` each feature of a graph is.

    Raises:
        DataError: one is not active.
    """
    wanted = graph.features.to(frozen.features.device)
    if not len(wanted):
        return wanted.new_zeros(0)
    sizes = torch.stack([wanted.amax(0), frozen.features.amax(0)]).amax(0) + 1
    number, known = (
        (some[:, 0] * sizes[1] + some[:, 1]) * sizes[2] + some[:, 2] for some in (wanted, frozen.features)
    )
    at = torch.searchsorted(known, number).clamp(max=len(known) - 1)
    if not bool((known[at] == number).all()):
        missing = int((known[at] != number).nonzero()[0, 0])
        raise DataError(
            f"feature {graph.id(missing)} of the graph is not active in this model: it was traced with "
            "another replacement or other settings"
        )
    return at


def aims_of(model: Model, frozen: Frozen, graph: AttributionGraph, wanted: Wanted | None) -> Aims:
    """The targets of a graph, ready to be traced again.

    Args:
        model: the model.
        frozen: the graph's prompt.
        graph: whose targets.
        wanted: what they were found with; None where the graph says all about them.

    Raises:
        DataError: the graph does not say enough, or `wanted` finds other targets.
    """
    aims = (wanted or _described(graph)).find(model, frozen)
    if [(one.label, one.token) for one in aims.targets] != [(one.label, one.token) for one in graph.targets]:
        raise DataError("the graph explains other targets: give targets= as the graph was traced with")
    return aims


def seeds_of(
    model: Model, frozen: Frozen, graph: AttributionGraph, rows: Int[Tensor, "k"], wanted: Wanted | None
) -> Seeds:
    """Where some rows of a graph begin, features and targets.

    Raises:
        DataError: see `aims_of`, where there are targets among them, and `features_of`.
    """
    features = rows < graph.n_features
    known = features_of(frozen, graph)
    parts = [frozen.seeds(known[rows[features]])]
    if not bool(features.all()):
        parts.append(aims_of(model, frozen, graph, wanted).seeds[rows[~features] - graph.n_features])
    # the parts stand one behind the other; back to the order asked for
    order = torch.cat([features.nonzero().flatten(), (~features).nonzero().flatten()]).argsort()
    return Seeds.joined(parts)[order]


def _described(graph: AttributionGraph) -> Wanted:
    """The targets that a graph says it has."""
    tokens = [one.token for one in graph.targets if one.token is not None]
    if len(tokens) == len(graph.targets):
        return targets.tokens(*tokens)
    return _of(graph.metadata.get("targets", {}))


def _of(about: Mapping[str, Any]) -> Wanted:
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
