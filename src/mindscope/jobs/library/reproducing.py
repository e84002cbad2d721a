"""Reproducing a case: all that was measured is measured again, and what differs is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationError

from mindscope.errors import DataError, MindscopeError, StoreError
from mindscope.jobs.circuit import (
    InterventionRecord,
    InterventionReport,
    find_replacement,
    measure_intervention,
    open_graph,
)
from mindscope.jobs.circuit.inputs import NEURONS, find_graph_directions
from mindscope.jobs.job import Reporter
from mindscope.jobs.library.dictionary_test import DictionaryTest, measure_deviation
from mindscope.jobs.library.opening import CaseSpec
from mindscope.jobs.library.results import (
    DICTIONARY,
    FOLDER,
    GRAPH,
    STEERING,
    read_interventions,
    read_view,
)
from mindscope.jobs.resolve import ORGANISM, load_model
from mindscope.jobs.specs import TemplateSpec
from mindscope.library import SELF_TEST, OpenedCase, open_case
from mindscope.models import LoadOptions, WholeModelOptions
from mindscope.store import Document

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, GraphView, ReplacementModel, Supernode, TargetSpec
    from mindscope.models import Model

TOLERANCE = 1e-3
"""A share of the size, or a probability. Two machines in float32 differ by less than a tenth of it."""


class ReproduceCaseSpec(CaseSpec, TemplateSpec, WholeModelOptions):
    """What `reproduce` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("case",)

    model: str | None = None
    """The model to measure on. It must be named, unless the case was made with the bundled one: what a file
    from elsewhere names is not loaded without being asked for."""
    dictionary: str | None = Field(default=None, json_schema_extra={"metavar": "DICTIONARY"})
    """What stands in for the MLPs of a graph. It must be named, unless it was neurons or the organism's."""
    direction: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """What a graph explains, where it explains projections on persona vectors. May be repeated."""


class ReproducedPart(Document):
    """One thing that was measured again.

    Attributes:
        same: whether it came out as the case has it; None where it could not be measured.
        difference: the largest one, in the unit of `tolerance`.
    """

    part: str
    same: bool | None
    difference: float | None = None
    tolerance: float | None = None
    finding: str


class CaseReproduction(Document):
    """What became of a case when it was measured again."""

    case: str
    model: str
    parts: tuple[ReproducedPart, ...]

    @property
    def agrees(self) -> bool:
        """Whether something was measured and nothing came out otherwise."""
        measured = [part.same for part in self.parts if part.same is not None]
        return bool(measured) and all(measured)


def reproduce_case(spec: ReproduceCaseSpec, *, reporter: Reporter) -> CaseReproduction:
    """Measure again what a case says, and say what differs. Exit code 1 where something does.

    A graph is traced again, its interventions and its validation are carried out again; steering and
    dictionaries are held against their tests.
    """
    case = open_case(spec.case)
    read_view(case)
    name = _model_name(spec, case)
    records = read_interventions(case)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        case.extract(folder)
        match case.manifest.kind:
            case "circuit":
                parts, model = _reproduce_circuit(spec, case, folder, name, records, reporter)
            case "steering":
                parts, model = _reproduce_steering(spec, folder, name)
            case "dictionary":
                parts, model = _reproduce_dictionary(spec, case, folder, name)
    return CaseReproduction(case=str(spec.case), model=model.name, parts=tuple(parts))


def _model_name(spec: ReproduceCaseSpec, case: OpenedCase) -> str:
    """The model that is asked for, or the bundled one where the case was made with it."""
    if spec.model is not None:
        return spec.model
    names = [model.name for model in case.manifest.models.values()]
    if names == [ORGANISM]:
        return ORGANISM
    told = (
        ", ".join(model.short for model in case.manifest.models.values()) or "a model that it does not name"
    )
    raise DataError(f"{spec.case} was made with {told}: name the model with --model")


def _load(spec: ReproduceCaseSpec, name: str) -> Model:
    return load_model(name, spec.config(LoadOptions, dtype="float32"), spec.template_option)


def _reproduce_circuit(
    spec: ReproduceCaseSpec,
    case: OpenedCase,
    folder: Path,
    name: str,
    records: Sequence[InterventionRecord],
    reporter: Reporter,
) -> tuple[list[ReproducedPart], Model]:
    from mindscope.circuits import measure_difference, trace_again

    graph = open_graph(folder / GRAPH).graph
    replaced = _replacement_name(spec, graph)
    model = _load(spec, name)
    parts = [_compare_model(graph.fingerprint, model)]
    if not parts[0].same:
        return [*parts, _not_measured("graph", "the model is another one")], model
    replacement, _ = find_replacement(replaced, model)
    same = graph.replacement_digest == replacement.digest()
    told = "the same weights" if same else f"{replaced} has other weights than the graph was traced with"
    parts.append(ReproducedPart(part="dictionary", same=same, finding=told))
    if not same:
        return [*parts, _not_measured("graph", "the dictionary is another one")], model
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
            ReproducedPart(
                part="graph",
                same=difference.is_within(TOLERANCE),
                difference=largest,
                tolerance=TOLERANCE,
                finding=f"{graph.n_features - missing} of {graph.n_features} features, {targets_told}; edges "
                f"differ by {difference.edges:.2g}, activations by {difference.activations:.2g}, "
                f"targets' values by {difference.values:.2g}",
            )
        )
    for number, record in enumerate(records):
        reporter.progress(number, len(records), "interventions")
        parts.append(_compare_intervention(f"intervention {number + 1}", record, graph, model, replacement))
    if graph.validation is not None:
        parts.append(_compare_validation(graph, read_view(case), model, replacement, targets, reporter))
    return parts, model


def _replacement_name(spec: ReproduceCaseSpec, graph: AttributionGraph) -> str:
    name = spec.dictionary or graph.replacement_name or ""
    bundled = name in (NEURONS, ORGANISM) or name.startswith(f"{ORGANISM}:")
    if spec.dictionary is None and not bundled:
        told = (
            repr(graph.replacement_name) if graph.replacement_name else "a dictionary that it does not name"
        )
        raise DataError(f"{spec.case} was traced with {told}: name it with --dictionary")
    return name


def _compare_model(fingerprint: str, model: Model) -> ReproducedPart:
    same = fingerprint == model.fingerprint
    told = "the same weights" if same else f"made with {fingerprint[:12] or 'an unknown one'}"
    return ReproducedPart(part="model", same=same, finding=f"{model.identity.short}: {told}")


def _not_measured(part: str, reason: str) -> ReproducedPart:
    return ReproducedPart(part=part, same=None, finding=f"not measured: {reason}")


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
    return ReproducedPart(
        part=part,
        same=not lost and texts and largest <= TOLERANCE,
        difference=largest,
        tolerance=TOLERANCE,
        finding=told + (f", {len(lost)} tokens are no longer among the likeliest" if lost else ""),
    )


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
        return _not_measured("validation", str(error))
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
    return ReproducedPart(
        part="validation",
        same=missing == 0 and largest <= TOLERANCE,
        difference=largest,
        tolerance=TOLERANCE,
        finding=f"{len(kept.nodes) - missing} of {len(kept.nodes)} changes, which differ by {largest:.2g} "
        "of the largest",
    )


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


def _reproduce_steering(
    spec: ReproduceCaseSpec, folder: Path, name: str
) -> tuple[list[ReproducedPart], Model]:
    from mindscope.features import SteeringFile, check_steering_file

    file = SteeringFile.load(folder / STEERING)
    model = _load(spec, name)
    report = check_steering_file(file, model, str(spec.case))
    parts = [
        ReproducedPart(part=check.name, same=check.passed, finding=check.finding) for check in report.checks
    ]
    return parts, model


def _reproduce_dictionary(
    spec: ReproduceCaseSpec, case: OpenedCase, folder: Path, name: str
) -> tuple[list[ReproducedPart], Model]:
    from mindscope.dictionaries import Dictionary

    test = _read_test(case)
    inside = folder / FOLDER
    dictionary = Dictionary.load(inside if inside.is_dir() else folder / DICTIONARY, lazy=True)
    model = _load(spec, name)
    (fingerprint,) = (maker.fingerprint for maker in case.manifest.models.values())
    parts = [_compare_model(fingerprint, model)]
    same = dictionary.digest() == test.digest
    told = "the same weights" if same else "the weights are not those that were tested"
    parts.append(ReproducedPart(part="dictionary", same=same, finding=told))
    if not parts[0].same:
        return [*parts, _not_measured("latents", "the model is another one")], model
    deviation = measure_deviation(dictionary, model, test)
    for part, difference, told in (
        ("latents", deviation.activations, f"{len(test.activations)} activations differ by"),
        ("reconstruction", deviation.unexplained, "the unexplained share of the variance differs by"),
    ):
        parts.append(
            ReproducedPart(
                part=part,
                same=difference <= TOLERANCE,
                difference=difference,
                tolerance=TOLERANCE,
                finding=f"{told} {difference:.2g}",
            )
        )
    return parts, model


def _read_test(case: OpenedCase) -> DictionaryTest:
    document = case.read_json(SELF_TEST)
    if document is None:
        raise DataError(
            f"{case.path} holds no test: pack the dictionary again, with `mindscope library pack --model`"
        )
    if isinstance(document, dict):
        document.pop("schema", None)
    try:
        test = DictionaryTest.model_validate(document)
    except (ValidationError, RecursionError):
        raise StoreError(
            f"{case.path}: {SELF_TEST} is no test of a dictionary: copy the case again"
        ) from None
    if len(case.manifest.models) != 1:
        raise StoreError(f"{case.path} does not say whose the dictionary is: pack it again with --model")
    return test
