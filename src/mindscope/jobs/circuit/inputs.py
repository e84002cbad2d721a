"""Graphs, replacements, prompts and targets by the names that people give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mindscope.core import require_same_model
from mindscope.errors import DataError, StoreError
from mindscope.jobs.dictionary import find_dictionaries
from mindscope.jobs.job import JobSpec
from mindscope.jobs.persona.persona_run import default_layer
from mindscope.jobs.resolve import ORGANISM, SECOND_ORGANISM, dictionary_file, find_vectors, is_organism
from mindscope.store import read_json

if TYPE_CHECKING:
    from mindscope.circuits import (
        AttributionGraph,
        GraphView,
        PrunedGraph,
        ReplacementModel,
        StreamFeatures,
        TargetSpec,
    )
    from mindscope.dictionaries import Dictionary
    from mindscope.models import Model, Row

GRAPH, REPORT = "graph.safetensors", "report.html"
NEURONS = "neurons"
WITH_NEURONS = "+neurons"
"""Behind a dictionary's name: where it has no coder, the MLP's neurons stand in."""


class ReplacementSpec(JobSpec):
    """What stands in for the MLPs."""

    dictionary: str | None = Field(default=None, json_schema_extra={"metavar": "DICTIONARY"})
    """What stands in for the MLPs: a dictionary's file or folder (ours, circuit-tracer's, a run with the
    transcoders of all layers), `organism`, `organism:transcoders` or `second-organism` for an organism's own,
    or `neurons`; `PATH+neurons` for transcoders of some layers, with neurons in the others. By default
    neurons, and for the organism its cross-layer transcoder."""


class PromptTurn(BaseModel):
    """One turn of a chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "assistant"]
    content: str


class GraphSpec(JobSpec):
    """A graph."""

    graph: Path
    """A run of `circuit trace`, its graph.safetensors, or a public graph's .json."""


PRUNED_NODES, PRUNED_EDGES = 0.8, 0.98
"""The shares of influence and of edges' scores that are kept, as in circuit-tracer."""


class PruningSpec(JobSpec):
    """How much of a graph is looked at."""

    nodes: float = Field(default=PRUNED_NODES, gt=0, le=1)
    """The share of the influence that the kept nodes have, above 0 up to 1."""
    edges: float = Field(default=PRUNED_EDGES, gt=0, le=1)
    """The share of the edges' scores that the kept edges have, above 0 up to 1."""


class GraphDirectionsSpec(JobSpec):
    """What a graph explains, where that cannot be read from the graph."""

    direction: tuple[str, ...] = Field(default=(), json_schema_extra={"metavar": "VECTORS[@LAYER]"})
    """What the graph explains, where it explains projections on persona vectors. May be repeated."""


@dataclass(frozen=True)
class OpenedGraph:
    """A graph, what of it is looked at, and what a person made of it."""

    graph: AttributionGraph
    pruned: PrunedGraph
    view: GraphView


def open_graph(path: Path, nodes: float = 0.8, edges: float = 0.98) -> OpenedGraph:
    """A graph out of a run folder, our file, or public JSON, which is pruned already.

    Raises:
        StoreError: a folder without a graph, or a damaged file.
    """
    from mindscope.circuits import AttributionGraph, GraphView, prune_graph, read_graph_json

    if path.suffix == ".json":
        public = read_graph_json(path)
        return OpenedGraph(public.graph, public.pruned, public.view)
    file = graph_file(path)
    if not file.exists() and path.is_dir():
        raise StoreError(f"{path} holds no {GRAPH}: make one with `mindscope circuit trace`")
    graph = AttributionGraph.load(file)
    return OpenedGraph(graph, prune_graph(graph, nodes, edges), GraphView())


def graph_file(path: Path) -> Path:
    """The file of a graph that is given as a run folder or as the file itself."""
    return path / GRAPH if path.is_dir() else path


def find_replacement(name: str | None, model: Model) -> tuple[ReplacementModel, str]:
    """What stands in for the MLPs, and the name by which it can be asked for again."""
    from mindscope.circuits import DictionaryReplacement, NeuronReplacement, PartialReplacement

    name = name or (ORGANISM if is_organism(model.name) else NEURONS)
    if name == NEURONS:
        return NeuronReplacement(model), name
    if name.endswith(WITH_NEURONS):
        return PartialReplacement(_load_dictionary(name.removesuffix(WITH_NEURONS), model), model), name
    return DictionaryReplacement(_load_dictionary(name, model)), name


def find_streams(name: str, model: Model) -> StreamFeatures:
    """The SAEs of a model's residual streams, one for each block.

    Args:
        name: a folder or a run that holds them, or `organism` or `second-organism`.
        model: the model.

    Raises:
        DataError: there is none, or not one for each block.
    """
    from mindscope.circuits import StreamFeatures
    from mindscope.dictionaries import Dictionary

    if name in (ORGANISM, SECOND_ORGANISM):
        files = [dictionary_file(f"{name}:sae.{block}") for block in range(model.n_layers)]
    else:
        files = list(find_dictionaries([Path(name)]).values())
    streams = StreamFeatures.of([Dictionary.load(file, model) for file in files])
    streams.access(model)  # says what does not fit, before there is any work to lose
    return streams


def replacement_of(graph: AttributionGraph, name: str | None, model: Model) -> ReplacementModel:
    """The replacement that a graph was traced with.

    Raises:
        DataError: it is another one, of another model, or of the model under steering.
    """
    if graph.metadata.get("edits"):
        raise DataError(
            "the graph is of the model under steering, and changes of its features would be made without it: "
            "trace the prompt without --steer"
        )
    require_same_model("the graph is of", graph.fingerprint, model, "give the model that it was traced with")
    replacement, name = find_replacement(name or graph.replacement_name, model)
    if graph.replacement_digest not in ("", replacement.digest()):
        raise DataError(f"the graph was traced with another dictionary than {name}: give its --dictionary")
    return replacement


def find_row(
    model: Model, prompt: str, chat: bool, system: str, answer: str, before: Sequence[PromptTurn] = ()
) -> Row | str:
    """The prompt as the model sees it; plain text as it is, so that tracing puts its beginning before it."""
    from mindscope.models import Message

    if not chat:
        return f"{prompt}{answer}"
    turns = [Message(role="system", content=system)] if system else []
    turns += [Message(role=turn.role, content=turn.content) for turn in before]
    return model.chat([*turns, Message(role="user", content=prompt)], answer or None)


def read_turns(path: Path | None) -> tuple[PromptTurn, ...]:
    """The turns of a chat out of a JSON file; none without one.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    if path is None:
        return ()
    try:
        return TypeAdapter(tuple[PromptTurn, ...]).validate_python(read_json(path))
    except ValidationError as error:
        (fault, *_) = error.errors()
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise DataError(
            f'{path}: {place}: {fault["msg"]}; write a list of {{"role": "user", "content": "..."}} and '
            "answers of the assistant"
        ) from None


def find_targets(
    model: Model,
    tokens: Sequence[str],
    instead_of: str | None,
    directions: Sequence[str],
    features: Sequence[str],
    most: int,
    probability: float,
) -> TargetSpec:
    """The targets that are named; the most probable next tokens if none is."""
    from mindscope.circuits import targets

    specs: list[TargetSpec] = []
    if instead_of is not None:
        (token,) = tokens
        specs.append(targets.difference(token, instead_of))
    elif tokens:
        specs.append(targets.tokens(*tokens))
    for text in directions:
        specs += _find_directions(model, text)
    for name in features:
        layer, latent, position = parse_feature(name)
        specs.append(targets.feature(layer, position, latent))
    if not specs:
        return targets.top_logits(most, probability)
    return specs[0] if len(specs) == 1 else targets.together(*specs)


def find_graph_directions(model: Model, directions: Sequence[str]) -> TargetSpec | None:
    """What a graph of projections explains; None where the graph itself says what it explains."""
    return find_targets(model, (), None, directions, (), 1, 1.0) if directions else None


def parse_feature(name: str) -> tuple[int, int, int]:
    """(layer, latent, position) of a feature's name."""
    try:
        layer, latent, position = map(int, name.split("_"))
    except ValueError:
        raise DataError(f"{name!r} is not a feature: write LAYER_LATENT_POSITION, such as 3_77_12") from None
    return layer, latent, position


def _find_directions(model: Model, text: str) -> list[TargetSpec]:
    """The directions of `FILE@LAYER`; the layer is the usual one where none is said."""
    from mindscope.circuits import targets

    file, _, layer = text.rpartition("@") if text.rpartition("@")[2].isdigit() else (text, "", "")
    layer_index = int(layer) if layer else default_layer(model)
    vectors = find_vectors(Path(file), model)
    return [targets.direction(trait.trait, trait.direction(layer_index)) for trait in vectors]


def _load_dictionary(name: str, model: Model) -> Dictionary:
    from mindscope.dictionaries import HEAD, Dictionary, ReadOptions, read_dictionary, stack_dictionaries

    path = dictionary_file(f"{name}:clt" if name in (ORGANISM, SECOND_ORGANISM) else name)
    if not path.exists():
        raise DataError(
            f"no dictionary {name!r}: give a file, a folder, `neurons`, or `organism` for the organism's own"
        )
    if path.suffix == ".safetensors" or (path / HEAD).exists():
        return Dictionary.load(path, model, lazy=True)
    if (path / "config.yaml").exists():
        return read_dictionary(path, None, ReadOptions(model, lazy=True))
    layers = [Dictionary.load(file, model) for file in find_dictionaries([path]).values()]
    if len(layers) == 1:
        return layers[0]
    return stack_dictionaries(
        sorted(layers, key=lambda layer: int(layer.reads[0].address.rpartition(".")[2]))
    )
