"""Graphs checked by intervention: what they predict of a change, and what the model does.

1. Choose what to change: the most influential features one by one, or groups of features.
2. Predict, from the graph alone, by how much the measured features and all targets change (`predict`).
3. Build readouts of the targets, which work in any forward pass (`readouts`).
4. Change the features in the model, experiments side by side in batches, and measure the same.
5. Compare: correlation over pairs of a change and a measured node, with a bootstrap over changes, signs, and
   size: slope and normalised error (Ameisen et al. 2025 report the latter beside correlations).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.attribution.retrace import rebuild_local_model, require_traced_with
from mindscope.circuits.attribution.targets import TargetSpec
from mindscope.circuits.graph.findings import GraphValidation, PredictionAgreement
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import compute_influence
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.circuits.index_spaces import GraphRow
from mindscope.circuits.interventions.groups import find_active, scale_activations
from mindscope.circuits.interventions.outcomes import list_addresses, read_features, run_experiments
from mindscope.circuits.replacement.local_model import ReplacementModel
from mindscope.circuits.validation.config import ValidationConfig
from mindscope.circuits.validation.predict import predict_changes
from mindscope.circuits.validation.readouts import TargetReadout, build_readouts, list_readout_addresses
from mindscope.core import Progress
from mindscope.errors import DataError
from mindscope.models import Model, Row
from mindscope.stats import pearson

SMALL = 0.01
"""Signs are compared where the predicted change is at least this share of the largest one."""


@dataclass(frozen=True, slots=True)
class _ChangedGroup:
    """What one intervention changes: features of the graph, by their index."""

    name: str
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _ChangePair:
    """A change and a measured row of the graph: what was predicted, and what happened."""

    experiment: int
    row: int
    predicted: float
    actual: float


def validate_graph(
    model: Model,
    replacement: ReplacementModel,
    graph: AttributionGraph,
    config: ValidationConfig | None = None,
    *,
    nodes: int | Sequence[Supernode | str] = 20,
    targets: TargetSpec | None = None,
    progress: Progress | None = None,
) -> GraphValidation:
    """Change features in the model, one node or supernode at a time, and compare with what the graph says.

    The graph's prediction is linear (see `predict_changes`): in mode `constrained` its edges, in the others
    the sum over all paths. What it cannot know is what the MLPs' errors do, features that it left out or that
    come on, norms' scales (held in `frozen_norms`) and, in `open`, attention patterns. Scales matter most: a
    norm makes up for much of what is taken out, so that a graph foretells more than comes.

    Args:
        model: the model that was traced.
        replacement: that it was traced with.
        graph: with all its edges, not pruned.
        config: the change, and what is measured.
        nodes: how many of the most influential features to change one by one; or which: names of feature
            nodes, and supernodes, whose features are changed together.
        targets: what the graph was traced with; needed for directions alone.
        progress: called with (interventions done, in all, what).

    Raises:
        DataError: a graph of another model or replacement, nodes that are not features, targets that are not
            the graph's, or changes that grow beyond all bounds, as they may where norms' scales are held.
    """
    config = config or ValidationConfig()
    _require_changes(model, replacement, graph, config.factor)
    # 1 and 2: what is changed, and what that should do to every row of the graph
    groups = _choose_groups(graph, nodes)
    changes = [dict.fromkeys(group.members, config.factor - 1) for group in groups]
    predicted = predict_changes(graph, changes, direct=config.mode == "constrained")
    # 3: what is measured: some features, and all targets
    measured = _most_influential(graph, config.measured)
    rows = torch.cat([measured, torch.arange(graph.n_features, len(graph.rows))])
    with torch.inference_mode():
        readouts = build_readouts(model, rebuild_local_model(model, replacement, graph), graph, targets)
    # 4: experiments x measured, and experiments x logits
    experiments = _ExperimentBatches(model, replacement, graph, groups, measured, readouts)
    changed, changed_logits = experiments.run(config, progress)
    if not all(values.isfinite().all() for values in (predicted, changed, changed_logits)):
        raise DataError(
            f"some changes in mode {config.mode!r} grow beyond what float32 holds, which says nothing "
            "of the graph: let norms adapt (mode 'open' or 'frozen'), or change by a smaller factor"
        )
    # 5: what is held, and what should not move at all, is not evidence
    pairs = [
        _ChangePair(number, row, float(predicted[number, row]), actual)
        for number, group in enumerate(groups)
        for row, actual in zip(rows.tolist(), changed[number].tolist(), strict=True)
        if row not in group.members and predicted[number, row] != 0
    ]
    logit_rows = [
        graph.n_features + number for number, readout in enumerate(readouts) if readout.scale is not None
    ]
    logit_pairs = [
        _ChangePair(number, row, float(predicted[number, row]), actual)
        for number, logits in enumerate(changed_logits.tolist())
        for row, actual in zip(logit_rows, logits, strict=True)
    ]
    return GraphValidation(
        mode=config.mode,
        factor=config.factor,
        changed=tuple(group.name for group in groups),
        intervention=tuple(pair.experiment for pair in pairs),
        nodes=tuple(graph.id(int(graph.rows[pair.row])) for pair in pairs),
        predicted=tuple(pair.predicted for pair in pairs),
        actual=tuple(pair.actual for pair in pairs),
        overall=_compare(pairs),
        features=_compare([pair for pair in pairs if pair.row < graph.n_features]),
        targets=_compare([pair for pair in pairs if pair.row >= graph.n_features]),
        logits=_compare(logit_pairs),
    )


def with_validation(graph: AttributionGraph, validation: GraphValidation) -> AttributionGraph:
    """The graph with its validation, which is saved with it and shown on its page."""
    return replace(graph, validation=validation)


def _require_changes(
    model: Model, replacement: ReplacementModel, graph: AttributionGraph, factor: float
) -> None:
    require_traced_with(model, replacement, graph)
    if factor == 1:
        raise DataError("a factor of 1 changes nothing: use 0 to turn features off")
    if not graph.n_features:
        raise DataError("this graph has no features to change: trace it with more features")


def _most_influential(graph: AttributionGraph, count: int) -> GraphRow:
    """The most influential features, ascending; a feature's row is its index."""
    if count < 1:
        raise DataError(f"{count} features are too few: 1 or more")
    influence = compute_influence(graph)[: graph.n_features]
    return influence.topk(min(count, graph.n_features)).indices.sort().values


def _choose_groups(graph: AttributionGraph, nodes: int | Sequence[Supernode | str]) -> list[_ChangedGroup]:
    """What each intervention changes."""
    if isinstance(nodes, int):
        return [
            _ChangedGroup(graph.id(index), (index,)) for index in _most_influential(graph, nodes).tolist()
        ]
    groups = []
    for node in nodes:
        label, names = (node.label, node.members) if isinstance(node, Supernode) else (node, (node,))
        members = tuple(index for index in map(graph.find, names) if index < graph.n_features)
        if not members:
            raise DataError(f"there is no feature in {label!r}: only features can be changed")
        groups.append(_ChangedGroup(label, members))
    if not groups:
        raise DataError("name at least one node to change")
    return groups


@dataclass(frozen=True, eq=False)
class _ExperimentBatches:
    """Interventions in the model, one per group, and what is measured in each."""

    model: Model
    replacement: ReplacementModel
    graph: AttributionGraph
    groups: Sequence[_ChangedGroup]
    measured: Int[Tensor, "measured"]
    readouts: Sequence[TargetReadout]

    def run(
        self, config: ValidationConfig, progress: Progress | None
    ) -> tuple[Float[Tensor, "experiments rows"], Float[Tensor, "experiments logits"]]:
        """By how much measured features and all targets do change; and the logits among the targets."""
        graph, feature_io = self.graph, self.replacement.access(self.model)
        features = graph.features[self.measured]
        interventions = [
            scale_activations(find_active(graph, map(graph.id, group.members)), config.factor)
            for group in self.groups
        ]
        addresses = [*list_addresses(feature_io, features), *list_readout_addresses(self.readouts)]
        row, values, logits = Row(graph.ids, len(graph.ids)), [], []
        # The first experiment changes nothing: what all others are compared with, in the same mode.
        batches = run_experiments(
            self.model,
            feature_io,
            row,
            [[], *interventions],
            addresses=list(dict.fromkeys(addresses)),
            mode=config.mode,
        )
        for batch_logits, activations in batches:
            before, _ = read_features(feature_io, features, activations, len(batch_logits))
            targets = [readout.read_value(activations) for readout in self.readouts]
            values.append(torch.cat([before, torch.stack(targets, dim=1).cpu()], dim=1))
            read = [
                readout.read_logit(self.model, activations).cpu()
                for readout in self.readouts
                if readout.scale is not None
            ]
            logits.append(torch.stack(read, dim=1) if read else torch.zeros(len(batch_logits), 0))
            if progress is not None:
                done = min(len(self.groups), sum(map(len, values)))
                progress(done, len(self.groups), "intervening")
        all_values, all_logits = torch.cat(values), torch.cat(logits)
        return all_values[1:] - all_values[0], all_logits[1:] - all_logits[0]


def _compare(pairs: Sequence[_ChangePair]) -> PredictionAgreement:
    predicted, actual = [pair.predicted for pair in pairs], [pair.actual for pair in pairs]
    # Pairs of one intervention rise and fall together: the bootstrap draws whole interventions.
    correlation = pearson(predicted, actual, [pair.experiment for pair in pairs])
    large = max(map(abs, predicted), default=0.0) * SMALL
    signs = [a * b > 0 for a, b in zip(predicted, actual, strict=True) if abs(a) >= large]
    return PredictionAgreement(
        r=correlation.r,
        low=correlation.low,
        high=correlation.high,
        sign_agreement=sum(signs) / len(signs) if signs else None,
        slope=_divide(_dot(predicted, actual), _dot(predicted, predicted)),
        nmse=_divide(sum((a - b) ** 2 for a, b in zip(actual, predicted, strict=True)), _dot(actual, actual)),
        pairs=len(pairs),
    )


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _divide(value: float, by: float) -> float | None:
    return value / by if by else None
