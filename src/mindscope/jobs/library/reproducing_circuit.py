"""Reproducing a circuit's case: its graph, its interventions and its validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindscope.errors import DataError, MindscopeError
from mindscope.jobs.circuit import (
    InterventionRecord,
    InterventionReport,
    find_replacement,
    measure_intervention,
)
from mindscope.jobs.circuit.inputs import NEURONS, find_graph_directions
from mindscope.jobs.job import Reporter
from mindscope.jobs.library.results import TOLERANCE, ReproducedPart
from mindscope.jobs.resolve import ORGANISM, SECOND_ORGANISM, names_bundled

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, GraphView, ReplacementModel, Supernode, TargetSpec
    from mindscope.jobs.library.reproducing import ReproduceCaseSpec
    from mindscope.models import Model


@dataclass(frozen=True)
class CircuitContents:
    """What a circuit's case holds: the graph, what people made of it, and its interventions."""

    graph: AttributionGraph
    view: GraphView
    records: Sequence[InterventionRecord]


def reproduce_circuit(
    spec: ReproduceCaseSpec, contents: CircuitContents, load: Callable[[], Model], reporter: Reporter
) -> tuple[list[ReproducedPart], Model]:
    """Trace a graph again, and carry out its interventions and its validation again.

    Args:
        spec: names the dictionary, and the directions that the graph explains.
        contents: of the case.
        load: gives the model, once it is known that the dictionary is named.
        reporter: is told how far it is.

    Raises:
        DataError: the graph's dictionary must be named.
    """
    from mindscope.circuits import measure_difference, trace_again

    graph, view, records = contents.graph, contents.view, contents.records
    replaced = _replacement_name(spec, graph)
    model = load()
    parts = [ReproducedPart.of_model(graph.fingerprint, model)]
    if not parts[0].same:
        return [*parts, ReproducedPart.not_measured("graph", "the model is another one")], model
    replacement, _ = find_replacement(replaced, model)
    same = graph.replacement_digest == replacement.digest()
    told = "the same weights" if same else f"{replaced} has other weights than the graph was traced with"
    parts.append(ReproducedPart(part="dictionary", same=same, finding=told))
    if not same:
        return [*parts, ReproducedPart.not_measured("graph", "the dictionary is another one")], model
    targets = find_graph_directions(model, spec.direction)
    try:
        again = trace_again(model, replacement, graph, targets, reporter.progress)
        difference = measure_difference(graph, again)
    except DataError as error:
        parts.append(ReproducedPart(part="graph", same=False, finding=str(error)))
    else:
        missing = len(difference.missing)
        largest = max(difference.activations, difference.edges, difference.values)
        targets_told = "other targets" if difference.targets_changed else f"{len(graph.targets)} targets"
        parts.append(
            ReproducedPart.of_difference(
                "graph",
                largest,
                f"{graph.n_features - missing} of {graph.n_features} features, {targets_told}; edges "
                f"differ by {difference.edges:.2g}, activations by {difference.activations:.2g}, "
                f"targets' values by {difference.values:.2g}",
                otherwise_same=difference.is_within(TOLERANCE),
            )
        )
    for number, record in enumerate(records):
        parts.append(_compare_intervention(f"intervention {number + 1}", record, graph, model, replacement))
        reporter.progress(number + 1, len(records), "interventions")
    if graph.validation is not None:
        parts.append(_compare_validation(graph, view, model, replacement, targets, reporter))
    return parts, model


def _replacement_name(spec: ReproduceCaseSpec, graph: AttributionGraph) -> str:
    name = spec.dictionary or graph.replacement_name or ""
    bundled = name in (NEURONS, ORGANISM, SECOND_ORGANISM) or names_bundled(name)
    if spec.dictionary is None and not bundled:
        told = (
            repr(graph.replacement_name) if graph.replacement_name else "a dictionary that it does not name"
        )
        raise DataError(f"{spec.case} was traced with {told}: name it with --dictionary")
    return name


def _compare_intervention(
    part: str,
    record: InterventionRecord,
    graph: AttributionGraph,
    model: Model,
    replacement: ReplacementModel,
) -> ReproducedPart:
    if not record.is_of(graph):
        return ReproducedPart(part=part, same=False, finding="it was made on another graph's prompt")
    try:
        report = measure_intervention(model, replacement, graph.ids, record.request)
    except MindscopeError as error:
        return ReproducedPart(part=part, same=False, finding=str(error))
    kept, again = map(_list_probabilities, (record.report, report))
    # Of tokens that are about as likely, rounding decides which is still shown.
    shared = kept.keys() & again.keys()
    least = min((max(pair) for pair in kept.values()), default=0.0)
    lost = [name for name in kept.keys() - again.keys() if max(kept[name]) > least + TOLERANCE]
    largest = max(
        (abs(one - other) for name in shared for one, other in zip(kept[name], again[name], strict=True)),
        default=1.0,
    )
    texts = record.report.texts == report.texts
    told = f"probabilities differ by {largest:.2g}"
    if record.report.texts is not None:
        told += ", the same texts" if texts else ", other texts"
    if lost:
        told += f", {len(lost)} tokens are no longer among the likeliest"
    return ReproducedPart.of_difference(part, largest, told, otherwise_same=not lost and texts)


def _list_probabilities(report: InterventionReport) -> dict[tuple[str, int], tuple[float, float]]:
    """Probabilities without and with a change, by token; tokens that read alike are counted through."""
    listed: dict[tuple[str, int], tuple[float, float]] = {}
    for token in sorted(report.tokens, key=lambda token: (token.before, token.after)):
        number = sum(text == token.token for text, _ in listed)
        listed[token.token, number] = (token.before, token.after)
    return listed


def _compare_validation(
    graph: AttributionGraph,
    view: GraphView,
    model: Model,
    replacement: ReplacementModel,
    targets: TargetSpec | None,
    reporter: Reporter,
) -> ReproducedPart:
    from mindscope.circuits import ValidationConfig, validate_graph

    kept = graph.validation
    assert kept is not None
    try:
        nodes = _find_changed(graph, view, kept.changed)
        config = ValidationConfig(
            factor=kept.factor, mode=kept.mode, measured=max(len({*kept.nodes}), _default_measured())
        )
        again = validate_graph(
            model, replacement, graph, config, nodes=nodes, targets=targets, progress=reporter.progress
        )
    except DataError as error:
        return ReproducedPart.not_measured("validation", str(error))
    pairs = {
        (again.changed[number], node): (predicted, actual)
        for number, node, predicted, actual in zip(
            again.intervention, again.nodes, again.predicted, again.actual, strict=True
        )
    }
    scale = max((abs(value) for value in (*kept.predicted, *kept.actual)), default=0.0) or 1.0
    missing, largest = 0, 0.0
    for number, node, *values in zip(kept.intervention, kept.nodes, kept.predicted, kept.actual, strict=True):
        pair = pairs.get((kept.changed[number], node))
        if pair is None:
            missing += 1
            continue
        largest = max(largest, *(abs(one - other) / scale for one, other in zip(values, pair, strict=True)))
    n_kept = len(kept.nodes)
    told = f"{n_kept - missing} of {n_kept} changes, which differ by {largest:.2g} of the largest"
    return ReproducedPart.of_difference("validation", largest, told, otherwise_same=missing == 0)


def _default_measured() -> int:
    from mindscope.circuits import ValidationConfig

    return ValidationConfig().measured


def _find_changed(graph: AttributionGraph, view: GraphView, changed: Sequence[str]) -> list[Supernode | str]:
    """What a validation changed, by the names it has: nodes, a person's groups, or automatic ones.

    Raises:
        DataError: there is no such node or group any more.
    """
    from mindscope.circuits import find_supernodes, prune_graph

    names = {graph.id(number) for number in range(graph.n_features)}
    if names.issuperset(changed):
        return list(changed)
    groups = {group.label: group for group in find_supernodes(graph, prune_graph(graph))}
    groups |= {group.label: group for group in view.supernodes}
    for name in changed:
        if name not in names and name not in groups:
            raise DataError(f"the case does not say what {name!r} is that its validation changed")
    return [name if name in names else groups[name] for name in changed]
