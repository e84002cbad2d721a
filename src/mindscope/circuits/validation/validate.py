"""Graphs checked by intervention: what they predict of a change, and what the model does."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.attribution.retrace import rebuild_local_model, require_traced_with
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.circuits.interventions.groups import find_active, scale_activations
from mindscope.circuits.interventions.intervening import Mode
from mindscope.circuits.interventions.outcomes import list_addresses, read_features, run_experiments
from mindscope.circuits.replacement.local_model import ReplacementModel
from mindscope.circuits.validation.predict import predict_changes
from mindscope.circuits.validation.readouts import TargetReadout, build_readouts, list_readout_addresses
from mindscope.errors import DataError
from mindscope.models import Model, Row
from mindscope.stats import pearson

Progress = Callable[[int, int, str], None]
SMALL = 0.01
"""Signs are compared where the predicted change is at least this share of the largest one."""


@dataclass(frozen=True, slots=True)
class PredictionAgreement:
    """How predicted and actual changes agree.

    Attributes:
        r: Pearson's, over pairs of a change and what was measured; None where one side does not vary.
        low, high: 95 % bootstrap interval that draws whole interventions.
        sign_agreement: the share of pairs that go the same way, of those predicted to be at least 1 % of the
            largest change; None without any.
        pairs: how many.
    """

    r: float | None
    low: float | None
    high: float | None
    sign_agreement: float | None
    pairs: int


@dataclass(frozen=True, eq=False)
class GraphValidation:
    """What a graph predicted of interventions, and what happened. A pair is one change and one measured node.

    Attributes:
        mode: what else could change, see `intervening`.
        factor: what the activations of the changed features were multiplied by.
        changed: the name of each intervention: a node, or a supernode's label.
        intervention: of each pair, the number of its intervention.
        nodes: of each pair, the name of the node that was measured.
        predicted: of each pair, by how much its pre-activation or its target's value was to change.
        actual: of each pair, by how much it did.
        overall, features, targets: the agreement over all pairs, over features, and over targets. A logit is
            measured as the graph has it, with the final norm's scale held.
        logits: the agreement with the logits that come out, which also rise and fall together as the final
            norm's scale does.
    """

    mode: Mode
    factor: float
    changed: tuple[str, ...]
    intervention: tuple[int, ...]
    nodes: tuple[str, ...]
    predicted: tuple[float, ...]
    actual: tuple[float, ...]
    overall: PredictionAgreement
    features: PredictionAgreement
    targets: PredictionAgreement
    logits: PredictionAgreement

    def to_json(self) -> dict[str, Any]:
        """For the metadata of a graph, and for its page: the overall agreement lies at the top."""
        found = asdict(self)
        labels = [
            f"{self.changed[number]} → {node}"
            for number, node in zip(self.intervention, self.nodes, strict=True)
        ]
        return {**found.pop("overall"), **found, "labels": labels}


def validate_graph(
    model: Model,
    replacement: ReplacementModel,
    graph: AttributionGraph,
    *,
    nodes: int | Sequence[Supernode | str] = 20,
    factor: float = 0.0,
    mode: Mode = "open",
    measured: int = 100,
    targets: TargetSpec | None = None,
    progress: Progress | None = None,
) -> GraphValidation:
    """Change features in the model, one node or supernode at a time, and compare with what the graph says.

    The graph's prediction is linear (see `predicted_changes`): in mode `constrained` its edges, in the others
    the sum over all paths. What it cannot know is what the MLPs' errors do, features that it left out or that
    come on, norms' scales (held in `frozen_norms`) and, in `open`, attention patterns. Scales matter most: a
    norm makes up for much of what is taken out, so that a graph foretells more than comes.

    Args:
        model: the model that was traced.
        replacement: that it was traced with.
        graph: with all its edges, not pruned.
        nodes: how many of the most influential features to change one by one; or which: names of feature
            nodes, and supernodes, whose features are changed together.
        factor: what activations are multiplied by: 0 turns a feature off, -1 turns it round.
        mode: what else may change, see `intervening`.
        measured: how many of the most influential features to measure, besides all targets.
        targets: what the graph was traced with; needed for directions alone.
        progress: called with (interventions done, in all, what).

    Raises:
        DataError: a graph of another model or replacement, nodes that are no features, or targets that
            are not the graph's.
    """
    _check(model, replacement, graph, factor)
    groups = _groups(graph, nodes)
    experiments = [dict.fromkeys(members, factor - 1) for _, members in groups]
    predicted = predict_changes(graph, experiments, direct=mode == "constrained")
    chosen = _most_influential(graph, measured)
    rows = torch.cat([chosen, torch.arange(graph.n_features, len(graph.rows))])
    with torch.inference_mode():
        ends = build_readouts(model, rebuild_local_model(model, replacement, graph), graph, targets)
    moved, logits = _moved(model, replacement, graph, groups, chosen, ends, factor, mode, progress)
    pairs = [
        (number, at, float(predicted[number, at]), actual)
        for number, (_, members) in enumerate(groups)
        for at, actual in zip(rows.tolist(), moved[number].tolist(), strict=True)
        if at not in members and predicted[number, at] != 0
    ]
    ends_at = [graph.n_features + at for at, one in enumerate(ends) if one.scale is not None]
    said = [
        (number, at, float(predicted[number, at]), actual)
        for number, each in enumerate(logits.tolist())
        for at, actual in zip(ends_at, each, strict=True)
    ]
    return GraphValidation(
        mode,
        factor,
        tuple(name for name, _ in groups),
        tuple(number for number, *_ in pairs),
        tuple(graph.id(int(graph.rows[at])) for _, at, *_ in pairs),
        tuple(one for *_, one, _ in pairs),
        tuple(one for *_, one in pairs),
        overall=_agreement(pairs),
        features=_agreement([one for one in pairs if one[1] < graph.n_features]),
        targets=_agreement([one for one in pairs if one[1] >= graph.n_features]),
        logits=_agreement(said),
    )


def with_validation(graph: AttributionGraph, validation: GraphValidation) -> AttributionGraph:
    """The graph with its validation, which is saved with it and shown on its page."""
    return replace(graph, metadata={**graph.metadata, "validation": validation.to_json()})


def _check(model: Model, replacement: ReplacementModel, graph: AttributionGraph, factor: float) -> None:
    require_traced_with(model, replacement, graph)
    if factor == 1:
        raise DataError("a factor of 1 changes nothing: use 0 to turn features off")
    if not graph.n_features:
        raise DataError("this graph has no features to change")


def _most_influential(graph: AttributionGraph, count: int) -> Tensor:
    if count < 1:
        raise DataError(f"{count} features are too few: 1 or more")
    return (
        compute_influence(graph)[: graph.n_features].topk(min(count, graph.n_features)).indices.sort().values
    )


def _groups(
    graph: AttributionGraph, nodes: int | Sequence[Supernode | str]
) -> list[tuple[str, tuple[int, ...]]]:
    """The name of each intervention, and which features of the graph it changes."""
    if isinstance(nodes, int):
        return [(graph.id(at), (at,)) for at in _most_influential(graph, nodes).tolist()]
    found = []
    for one in nodes:
        names = one.members if isinstance(one, Supernode) else (one,)
        members = tuple(at for at in map(graph.find, names) if at < graph.n_features)
        if not members:
            raise DataError(f"there is no feature in {one!r}: only features can be changed")
        found.append((one.label if isinstance(one, Supernode) else one, members))
    if not found:
        raise DataError("name at least one node to change")
    return found


def _moved(
    model: Model,
    replacement: ReplacementModel,
    graph: AttributionGraph,
    groups: Sequence[tuple[str, tuple[int, ...]]],
    chosen: Tensor,
    ends: Sequence[TargetReadout],
    factor: float,
    mode: Mode,
    progress: Progress | None,
) -> tuple[Float[Tensor, "experiments measured"], Float[Tensor, "experiments logits"]]:
    """By how much each chosen feature, and each target, does change; and the logits among the targets."""
    access, features = replacement.access(model), graph.features[chosen]
    changes = [
        scale_activations(find_active(graph, [graph.id(at) for at in members]), factor)
        for _, members in groups
    ]
    addresses = list(dict.fromkeys([*list_addresses(access, features), *list_readout_addresses(ends)]))
    row, values, outputs = Row(graph.ids, len(graph.ids)), [], []
    for logits, seen in run_experiments(model, access, row, [[], *changes], addresses, mode):
        before, _ = read_features(access, features, seen, len(logits))
        targets = [one.read_value(seen) for one in ends]
        values.append(torch.cat([before, torch.stack(targets, dim=1).cpu()], dim=1))
        said = [one.read_logit(model, seen).cpu() for one in ends if one.scale is not None]
        outputs.append(torch.stack(said, dim=1) if said else torch.zeros(len(logits), 0))
        if progress is not None:
            progress(min(len(groups), sum(map(len, values))), len(groups), "intervening")
    found, came = torch.cat(values), torch.cat(outputs)
    return found[1:] - found[0], came[1:] - came[0]


def _agreement(pairs: Sequence[tuple[int, int, float, float]]) -> PredictionAgreement:
    x, y = ([one[at] for one in pairs] for at in (2, 3))
    found = pearson(x, y, [one[0] for one in pairs])
    large = max(map(abs, x), default=0.0) * SMALL
    signs = [a * b > 0 for a, b in zip(x, y, strict=True) if abs(a) >= large]
    return PredictionAgreement(
        found.r, found.low, found.high, sum(signs) / len(signs) if signs else None, len(pairs)
    )
