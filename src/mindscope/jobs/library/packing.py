"""Packing: a graph, steering or a dictionary becomes one file, with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError, model_validator

from mindscope.core import ModelIdentity
from mindscope.errors import DataError, StoreError
from mindscope.jobs.circuit import InterventionRecord, open_graph
from mindscope.jobs.dictionary import find_dictionaries
from mindscope.jobs.inputs import VECTORS, InputKind, read_schema
from mindscope.jobs.job import JobSpec, Reporter
from mindscope.jobs.library.results import (
    DETAILS,
    DICTIONARY,
    FOLDER,
    GRAPH,
    STEERING,
    PackReport,
    SteeredPlace,
    encode,
    list_interventions,
    list_view,
    require_records_of,
    require_view_of,
)
from mindscope.jobs.resolve import load_model
from mindscope.library import (
    ENDING,
    SELF_TEST,
    CaseKind,
    CaseManifest,
    Judgement,
    ReaderVerdict,
    write_case,
)
from mindscope.models import LoadOptions, WholeModelOptions
from mindscope.store import plain, read_run

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph

KINDS: dict[str, CaseKind] = {
    "mindscope.attribution_graph": "circuit",
    "mindscope.steering_file": "steering",
    "mindscope.dictionary": "dictionary",
}
"""What an artefact is packed as, by its schema."""
REPORT = "report.html"
RECORDED = ("kind", "config", "seed", "started", "libraries")
"""What a case takes of a run's record. The command and its folder are left out: they tell of the machine."""


class VerdictSpec(JobSpec):
    """What a person makes of a case."""

    title: str | None = None
    """What the case is called; by default the prompt, the steering's name, or the dictionary's kind."""
    verdict: Judgement | None = None
    """What you conclude: the evidence is for the finding (supported), against it (refuted), or open."""
    reason: str = ""
    """Why, in a few words; it needs --verdict."""
    note: tuple[str, ...] = ()
    """Anything that a reader should know. May be repeated."""
    intervention: tuple[Path, ...] = ()
    """What `circuit intervene --save` wrote, on the case's graph. May be repeated."""

    @model_validator(mode="after")
    def _require_a_verdict(self) -> VerdictSpec:
        if self.reason and self.verdict is None:
            raise DataError("a reason needs --verdict")
        return self

    def conclude(self) -> ReaderVerdict | None:
        """The verdict, if there is one."""
        return None if self.verdict is None else ReaderVerdict(judgement=self.verdict, reason=self.reason)


class PackCaseSpec(VerdictSpec, WholeModelOptions):
    """What `pack` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("source", "to")
    inputs: ClassVar[Mapping[str, InputKind]] = {"intervention": "file", "view": "file"}

    source: Path
    """A run of `circuit trace`, a graph's file or public .json, a steering file, or a dictionary."""
    to: Path
    """The .case file to write; one that is there already is not written over."""
    view: Path | None = None
    """A public graph's .json with labels, supernodes and pinned nodes, as the graph's page saves it."""
    model: str | None = None
    """The model of a dictionary, on which its test is measured; without it the case has no test."""


@dataclass
class _CaseContents:
    """What a case is made of."""

    kind: CaseKind
    title: str
    files: dict[str, Path | bytes]
    models: dict[str, ModelIdentity] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def pack_case(spec: PackCaseSpec, *, reporter: Reporter) -> PackReport:
    """Pack a graph, a steering file or a dictionary with all that belongs to it into one file.

    A graph comes with its labels, supernodes, interventions, validation and what its features make the model
    say; a steering file with its probes; a dictionary with a test. The same things give the same bytes.
    """
    require_new_case(spec.to)
    spec.require_inputs()
    kind = _find_kind(spec.source)
    if kind != "circuit" and (spec.view is not None or spec.intervention):
        raise DataError(f"--view and --intervention belong to a graph: {spec.source} is of kind {kind}")
    if kind != "dictionary" and spec.model is not None:
        raise DataError("--model is for the test of a dictionary: a graph and steering hold what they need")
    with ExitStack() as stack:
        match kind:
            case "circuit":
                scratch = Path(stack.enter_context(TemporaryDirectory()))
                contents = _gather_circuit(spec, scratch)
            case "steering":
                contents = _gather_steering(spec.source)
            case "dictionary":
                contents = _gather_dictionary(spec, reporter)
        manifest = write_case(
            spec.to,
            CaseManifest(
                kind=kind,
                title=contents.title if spec.title is None else spec.title,
                models=contents.models,
                provenance=plain(contents.provenance),
                verdict=spec.conclude(),
                notes=spec.note,
                members=(),
            ),
            contents.files,
        )
    return PackReport(
        case=str(spec.to),
        kind=kind,
        bytes=spec.to.stat().st_size,
        members=tuple(member.name for member in manifest.members),
    )


def require_new_case(to: Path) -> None:
    """Refuse a file to write a case to that is none, or that holds a case, with what people said of it.

    Raises:
        DataError: its name ends otherwise, or it is there already.
    """
    if to.suffix != ENDING:
        raise DataError(f"{to} must end in {ENDING}")
    if to.exists():
        raise DataError(
            f"{to} is there already: name a new file; `mindscope library annotate` adds to a case"
        )


def read_records(paths: tuple[Path, ...]) -> tuple[InterventionRecord, ...]:
    """Interventions out of their files."""
    return tuple(InterventionRecord.load(path) for path in paths)


def _find_kind(source: Path) -> CaseKind:
    if not source.exists():
        raise DataError(f"SOURCE: no such file or folder: {source}")
    if source.suffix == ".json" or (source / GRAPH).exists():
        return "circuit"
    if source.is_dir():
        return "dictionary"
    schema = read_schema(source)
    if schema not in KINDS:
        hint = ": write steering of vectors with `mindscope vectors write`" if schema == VECTORS else ""
        raise DataError(
            f"{source} is neither a graph nor a steering file nor a dictionary"
            f"{hint or f' (it holds {schema!r})'}"
        )
    return KINDS[schema]


def _gather_circuit(spec: PackCaseSpec, scratch: Path) -> _CaseContents:
    from mindscope.circuits import read_graph_json

    opened = open_graph(spec.source)
    graph, view = opened.graph, opened.view
    if spec.view is not None:
        view = read_graph_json(spec.view).view
    records = read_records(spec.intervention)
    require_view_of(graph, view)
    require_records_of(graph, records)
    file = spec.source / GRAPH if spec.source.is_dir() else spec.source
    if file.suffix == ".json":
        file = scratch / GRAPH
        graph.save(file)
    folder = spec.source if spec.source.is_dir() else None
    identity, provenance = _read_record(folder, graph.fingerprint)
    if identity is None and graph.fingerprint:
        identity = ModelIdentity(fingerprint=graph.fingerprint, name=graph.metadata.get("model"))
    return _CaseContents(
        kind="circuit",
        title=_name_prompt(graph, provenance),
        files={GRAPH: file, **list_view(view), **list_interventions(records), **_read_details(folder)},
        models={} if identity is None else {"": identity},
        provenance=provenance or {"graph": dict(graph.metadata)},
    )


def _name_prompt(graph: AttributionGraph, provenance: Mapping[str, Any]) -> str:
    """The prompt as it was typed; as its tokens where nothing keeps that, with those that begin a text."""
    config = provenance.get("run", {}).get("config")
    typed = config.get("prompt") if isinstance(config, Mapping) else None
    return typed if isinstance(typed, str) else str(graph.metadata.get("prompt") or "".join(graph.tokens))


def _read_record(folder: Path | None, fingerprint: str) -> tuple[ModelIdentity | None, dict[str, Any]]:
    """Whose a run is, and how it was made, where the source is one."""
    if folder is None or not (folder / "run.json").exists():
        return None, {}
    record = read_run(folder).record
    provenance = {"run": {name: record[name] for name in RECORDED if name in record}}
    try:
        identity = ModelIdentity.model_validate(record.get("identity"))
    except ValidationError:
        return None, provenance
    return (identity if identity.fingerprint == fingerprint else None), provenance


def _read_details(folder: Path | None) -> dict[str, Path | bytes]:
    """What the page of a run says of the features: which tokens they raise, their contexts."""
    from mindscope.circuits import read_page_content

    if folder is None or not (folder / REPORT).is_file():
        return {}
    try:
        details = read_page_content((folder / REPORT).read_text(encoding="utf-8")).get("details")
    except (OSError, UnicodeError, DataError):
        return {}
    return {DETAILS: encode(details)} if details else {}


def _gather_steering(source: Path) -> _CaseContents:
    from mindscope.features import SteeringFile

    file = SteeringFile.load(source)
    return _CaseContents(
        kind="steering",
        title=file.name,
        files={STEERING: source},
        models={"": file.made_with},
        provenance={
            "precision": file.precision,
            "quality": dict(file.quality),
            "edits": [SteeredPlace.of_edit(edit).to_json() for edit in file.edits],
        },
    )


def _gather_dictionary(spec: PackCaseSpec, reporter: Reporter) -> _CaseContents:
    from mindscope.dictionaries import HEAD, Dictionary
    from mindscope.jobs.library.dictionary_test import record_test

    named = find_dictionaries([spec.source])
    if len(named) != 1:
        raise DataError(
            f"{spec.source} holds {len(named)} dictionaries ({', '.join(named)}): give one of them"
        )
    (path,) = named.values()
    dictionary = Dictionary.load(path, lazy=True)
    files: dict[str, Path | bytes] = {DICTIONARY: path}
    if path.is_dir():
        parts = [path / HEAD, *sorted(path.glob("coder*.safetensors"))]
        files = {f"{FOLDER}/{part.name}": part for part in parts}
        if len(parts) != 1 + len(dictionary.wiring):
            raise StoreError(
                f"{path} has not one file for each of {len(dictionary.wiring)} coders: save it again"
            )
    model = None
    if spec.model is not None:
        model = load_model(spec.model, spec.config(LoadOptions, dtype="float32"))
        reporter.say("measuring what the dictionary does behind the test's prompts")
        test = record_test(dictionary, model)
        files[SELF_TEST] = encode({"schema": test.SCHEMA, **test.to_json()})
        dictionary = dictionary.bind(model)
    identities = dict(dictionary.made_with)
    for name, fingerprint in dictionary.models.items():
        if name not in identities and fingerprint is not None:
            # the model that the test was measured on has a name, by which it can be asked for again
            if model is not None and model.fingerprint == fingerprint:
                identities[name] = model.identity
            else:
                identities[name] = ModelIdentity(fingerprint=fingerprint)
    return _CaseContents(
        kind="dictionary",
        title=f"{dictionary.kind} of {', '.join(site.name for site in dictionary.reads[:3])}"
        + (", …" if len(dictionary.reads) > 3 else ""),
        files=files,
        models=identities,
        provenance={"about": dict(dictionary.metadata)},
    )
