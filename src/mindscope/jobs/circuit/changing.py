"""Changing features of a graph's prompt: what becomes of the next token and of the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from mindscope.circuits import Mode
from mindscope.core import Seed
from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import (
    GraphSpec,
    OpenedGraph,
    ReplacementSpec,
    open_graph,
    parse_feature,
    replacement_of,
)
from mindscope.jobs.circuit.recorded import (
    FeatureChange,
    InterventionRecord,
    InterventionRequest,
    Operation,
    measure_intervention,
)
from mindscope.jobs.circuit.results import InterventionReport
from mindscope.jobs.job import Reporter
from mindscope.jobs.specs import Float32ModelSpec

if TYPE_CHECKING:
    from mindscope.circuits import Intervention

FROM_HERE_ON = "+"
"""Behind a feature's name: from its token on, through generated ones too."""


class InterveneSpec(Float32ModelSpec, ReplacementSpec, GraphSpec):
    """What `intervene` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("model", "graph")

    set: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "FEATURE=VALUE"})
    """Set an activation. FEATURE is LAYER_LATENT_POSITION (with + behind it: from there on, in what is
    generated too) or the label of a supernode in the graph's file. May be repeated."""
    scale: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "FEATURE=FACTOR"})
    """Multiply an activation; 0 turns it off. May be repeated."""
    add: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "FEATURE=VALUE"})
    """Add to an activation. May be repeated."""
    on: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "GRAPH:LABEL"})
    """Set a supernode of another graph to the activations that it has there, counted from the end of both
    prompts. May be repeated."""
    mode: Mode = "open"
    """What else may change: everything (open), all but attention patterns (frozen), all but these and the
    scales of norms (frozen_norms), or nothing but direct effects (constrained)."""
    layers: str | None = Field(default=None, json_schema_extra={"metavar": "FIRST:END"})
    """The layers whose MLPs `constrained` holds; all by default."""
    generate: int = Field(default=0, ge=0)
    """How many tokens to write, without and with the change."""
    temperature: float = Field(default=0.0, ge=0)
    """The temperature of the text that is written; 0 takes the most probable token."""
    top: int = Field(default=10, ge=1)
    """How many next tokens to show."""
    seed: Seed = 0
    """The seed of the text that is written."""
    save: Path | None = None
    """A JSON file in which the change and what became of it are kept, for `library pack --intervention`."""

    @model_validator(mode="after")
    def _require_changes(self) -> InterveneSpec:
        if not (self.set or self.scale or self.add or self.on):
            raise DataError("nothing is changed: give --set, --scale, --add or --on")
        for text in (*self.set, *self.scale, *self.add):
            _parse_change(text)
        if self.held_layers() is not None and self.mode != "constrained":
            raise DataError(f"--layers: in mode {self.mode} no MLP is held: add --mode constrained")
        return self

    def held_layers(self) -> range | None:
        """`layers` as a range."""
        if self.layers is None:
            return None
        try:
            first, end = map(int, self.layers.split(":"))
        except ValueError:
            raise DataError(
                f"--layers {self.layers}: write FIRST:END, such as 2:6 for layers 2 to 5"
            ) from None
        return range(first, end)

    def changes(self, opened: OpenedGraph) -> list[Intervention]:
        """All interventions that are asked for, on the features of a graph."""
        operations: dict[Operation, tuple[str, ...]] = {
            "set": self.set,
            "scale": self.scale,
            "add": self.add,
        }
        changes = [
            change
            for operation, texts in operations.items()
            for text in texts
            for change in _read_changes(opened, operation, text)
        ]
        return changes + [change for text in self.on for change in _copy_supernode(opened, text)]


def intervene(spec: InterveneSpec, *, reporter: Reporter) -> InterventionReport:
    """Change features of a graph's prompt, and see what becomes of the next token and of the answer."""
    del reporter  # two passes
    opened = open_graph(spec.graph)
    request = InterventionRequest(
        changes=tuple(map(FeatureChange.of, spec.changes(opened))),
        mode=spec.mode,
        layers=None if (layers := spec.held_layers()) is None else (layers.start, layers.stop),
        generate=spec.generate,
        temperature=spec.temperature,
        top=spec.top,
        seed=spec.seed,
    )
    model = spec.load()
    replacement = replacement_of(opened.graph, spec.dictionary, model)
    report = measure_intervention(model, replacement, opened.graph.ids, request)
    if spec.save is not None:
        InterventionRecord(
            fingerprint=model.fingerprint,
            replacement_digest=replacement.digest(),
            ids=opened.graph.ids,
            request=request,
            report=report,
        ).save(spec.save)
    return report


def _parse_change(text: str) -> tuple[str, float]:
    """The feature or label, and the number, of `FEATURE=NUMBER`."""
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise DataError(f"{text!r} is not a change: write FEATURE=NUMBER, such as 3_77_12=0") from None


def _read_changes(opened: OpenedGraph, operation: Operation, text: str) -> list[Intervention]:
    """The interventions that `FEATURE=VALUE` or `LABEL=VALUE` means."""
    from mindscope.circuits import Intervention, find_active

    name, value = _parse_change(text)
    supernodes = {group.label: group for group in opened.view.supernodes}
    if name in supernodes:
        return [
            Intervention(feature.layer, feature.position, feature.latent, operation, value)
            for feature in find_active(opened.graph, supernodes[name])
        ]
    layer, latent, position = parse_feature(name.removesuffix(FROM_HERE_ON))
    positions = slice(position, None) if name.endswith(FROM_HERE_ON) else position
    return [Intervention(layer, positions, latent, operation, value)]


def _copy_supernode(opened: OpenedGraph, text: str) -> list[Intervention]:
    """A supernode of another graph, with the activations that it has there."""
    from mindscope.circuits import align_ends, clamp_activations, find_active

    file, _, label = text.partition(":")
    donor = open_graph(Path(file))
    supernodes = {group.label: group for group in donor.view.supernodes}
    if label not in supernodes:
        known = ", ".join(supernodes) or "none"
        raise DataError(f"{file} has no supernode {label!r}: it has {known}")
    positions = align_ends(opened.graph.n_positions, donor.graph.n_positions)
    return clamp_activations(find_active(donor.graph, supernodes[label]), positions=positions)
