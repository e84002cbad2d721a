"""Reproducing a case: all that was measured is measured again, and what differs is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationError

from mindscope.errors import DataError, StoreError
from mindscope.jobs.circuit import open_graph
from mindscope.jobs.job import Reporter
from mindscope.jobs.library.dictionary_test import DictionaryTest, measure_deviation
from mindscope.jobs.library.opening import CaseSpec
from mindscope.jobs.library.reproducing_circuit import CircuitContents, reproduce_circuit
from mindscope.jobs.library.results import (
    DICTIONARY,
    FOLDER,
    GRAPH,
    STEERING,
    CaseReproduction,
    ReproducedPart,
    read_interventions,
    read_view,
)
from mindscope.jobs.resolve import ORGANISM, SECOND_ORGANISM, load_model
from mindscope.jobs.specs import TemplateSpec
from mindscope.library import SELF_TEST, OpenedCase, open_case
from mindscope.models import LoadOptions, WholeModelOptions

if TYPE_CHECKING:
    from mindscope.models import Model


class ReproduceCaseSpec(CaseSpec, TemplateSpec, WholeModelOptions):
    """What `reproduce` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("case",)

    model: str | None = None
    """The model to measure on. It must be named, unless the case was made with a bundled one: what a file
    from elsewhere names is not loaded without being asked for."""
    dictionary: str | None = Field(default=None, json_schema_extra={"metavar": "DICTIONARY"})
    """What stands in for the MLPs of a graph. It must be named, unless it was neurons or an organism's."""
    direction: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """What a graph explains, where it explains projections on persona vectors. May be repeated."""


def reproduce_case(spec: ReproduceCaseSpec, *, reporter: Reporter) -> CaseReproduction:
    """Measure again what a case says, and say what differs. Exit code 1 where something does.

    A graph is traced again, its interventions and its validation are carried out again; steering and
    dictionaries are held against their tests.
    """
    case = open_case(spec.case)
    view = read_view(case)
    load = partial(_load, spec, _model_name(spec, case))
    records = read_interventions(case)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        case.extract(folder)
        match case.manifest.kind:
            case "circuit":
                contents = CircuitContents(open_graph(folder / GRAPH).graph, view, records)
                parts, model = reproduce_circuit(spec, contents, load, reporter)
            case "steering":
                parts, model = _reproduce_steering(spec, folder, load)
            case "dictionary":
                parts, model = _reproduce_dictionary(case, folder, load)
    return CaseReproduction(case=str(spec.case), model=model.name, parts=tuple(parts))


def _model_name(spec: ReproduceCaseSpec, case: OpenedCase) -> str:
    """The model that is asked for, or the bundled one that the case was made with."""
    if spec.model is not None:
        return spec.model
    names = [model.name for model in case.manifest.models.values()]
    if len(names) == 1 and (name := names[0]) in (ORGANISM, SECOND_ORGANISM):
        return name
    told = (
        ", ".join(model.short for model in case.manifest.models.values()) or "a model that it does not name"
    )
    raise DataError(f"{spec.case} was made with {told}: name the model with --model")


def _load(spec: ReproduceCaseSpec, name: str) -> Model:
    return load_model(name, spec.config(LoadOptions, dtype="float32"), spec.template_option)


def _reproduce_steering(
    spec: ReproduceCaseSpec, folder: Path, load: Callable[[], Model]
) -> tuple[list[ReproducedPart], Model]:
    from mindscope.features import SteeringFile, check_steering_file

    file = SteeringFile.load(folder / STEERING)
    model = load()
    report = check_steering_file(file, model, str(spec.case))
    parts = [
        ReproducedPart(part=check.name, same=check.passed, finding=check.finding) for check in report.checks
    ]
    return parts, model


def _reproduce_dictionary(
    case: OpenedCase, folder: Path, load: Callable[[], Model]
) -> tuple[list[ReproducedPart], Model]:
    from mindscope.dictionaries import Dictionary

    test = _read_test(case)
    inside = folder / FOLDER
    dictionary = Dictionary.load(inside if inside.is_dir() else folder / DICTIONARY, lazy=True)
    model = load()
    (fingerprint,) = (maker.fingerprint for maker in case.manifest.models.values())
    parts = [ReproducedPart.of_model(fingerprint, model)]
    same = dictionary.digest() == test.digest
    told = "the same weights" if same else "the weights are not those that were tested"
    parts.append(ReproducedPart(part="dictionary", same=same, finding=told))
    if not parts[0].same:
        return [*parts, ReproducedPart.not_measured("latents", "the model is another one")], model
    deviation = measure_deviation(dictionary, model, test)
    for part, difference, told in (
        ("latents", deviation.activations, f"{len(test.activations)} activations differ by"),
        ("reconstruction", deviation.unexplained, "the unexplained share of the variance differs by"),
    ):
        parts.append(ReproducedPart.of_difference(part, difference, f"{told} {difference:.2g}"))
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
