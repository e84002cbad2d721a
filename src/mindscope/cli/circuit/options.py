"""What the `mindscope circuit` commands work with: graphs, replacements and targets by the names given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindscope.cli.dictionary.evaluate import dictionary_files
from mindscope.errors import DataError, StoreError
from mindscope.jobs import ORGANISM, dictionary_file, find_vectors
from mindscope.jobs.persona_run import default_layer

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, GraphView, PrunedGraph, ReplacementModel, TargetSpec
    from mindscope.dictionaries import Dictionary
    from mindscope.models import Model, Row

GRAPH, REPORT = "graph.safetensors", "report.html"
NEURONS = "neurons"

GraphFile = Annotated[
    Path,
    typer.Argument(
        metavar="GRAPH", help="A run of `circuit trace`, its graph.safetensors, or a public graph's .json."
    ),
]
NodeShare = Annotated[float, typer.Option("--nodes", help="Share of the influence that nodes keep.")]
EdgeShare = Annotated[float, typer.Option("--edges", help="Share of the score that edges keep.")]
DictionaryName = Annotated[
    str | None,
    typer.Option(
        "--dictionary",
        metavar="DICTIONARY",
        help="What stands in for the MLPs: a dictionary's file or folder (ours, circuit-tracer's, a run with "
        "the transcoders of all layers), `organism` or `organism:transcoders` for the organism's own, or "
        "`neurons`. By default neurons, and its CLT for the organism.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class OpenedGraph:
    """A graph, what of it is looked at, and what a person made of it."""

    graph: AttributionGraph
    pruned: PrunedGraph
    view: GraphView


def open_graph(path: Path, nodes: float = 0.8, edges: float = 0.98) -> OpenedGraph:
    """A graph out of a run folder, our file, or public JSON, which is pruned already."""
    from mindscope.circuits import AttributionGraph, GraphView, prune_graph, read_graph_json

    if path.suffix == ".json":
        read = read_graph_json(path)
        return OpenedGraph(read.graph, read.pruned, read.view)
    if path.is_dir() and not (path / GRAPH).exists():
        raise StoreError(f"{path} holds no {GRAPH}: make one with `mindscope circuit trace`")
    graph = AttributionGraph.load(path / GRAPH if path.is_dir() else path)
    return OpenedGraph(graph, prune_graph(graph, nodes, edges), GraphView())


def find_replacement(name: str | None, model: Model) -> tuple[ReplacementModel, str]:
    """What stands in for the MLPs, and the name by which it is found again."""
    from mindscope.circuits import DictionaryReplacement, NeuronReplacement

    name = name or (ORGANISM if model.name == ORGANISM else NEURONS)
    if name == NEURONS:
        return NeuronReplacement(model), name
    return DictionaryReplacement(_dictionary(name, model)), name


def replacement_of(graph: AttributionGraph, name: str | None, model: Model) -> ReplacementModel:
    """The replacement that a graph was traced with; refused if it is another, or of another model."""
    if graph.fingerprint not in ("", model.fingerprint):
        raise DataError(
            f"the graph is of another model (fingerprint {graph.fingerprint}, {model.name} has "
            f"{model.fingerprint}): give the model that it was traced with"
        )
    found, name = find_replacement(name or graph.metadata.get("dictionary"), model)
    if graph.replacement_digest not in ("", found.digest):
        raise DataError(f"the graph was traced with another dictionary than {name}: give its --dictionary")
    return found


def find_row(model: Model, prompt: str, chat: bool, system: str, answer: str) -> Row | str:
    """The prompt as the model sees it; plain text as it is, so that tracing puts its beginning before it."""
    from mindscope.models import Message

    if chat:
        turns = [Message(role="system", content=system)] if system else []
        return model.chat([*turns, Message(role="user", content=prompt)], answer or None)
    if system:
        raise DataError("a system prompt needs --chat")
    return f"{prompt}{answer}"


def find_targets(
    model: Model,
    tokens: Sequence[str],
    instead_of: str | None,
    directions: Sequence[str],
    features: Sequence[str],
    most: int,
    probability: float,
) -> TargetSpec:
    """The targets that options name; the most probable next tokens if they name none."""
    from mindscope.circuits.attribution import targets

    spec: list[TargetSpec] = []
    if instead_of is not None:
        if len(tokens) != 1:
            raise DataError("--instead-of needs one --target, the token that it is compared with")
        spec.append(targets.difference(tokens[0], instead_of))
    elif tokens:
        spec.append(targets.tokens(*tokens))
    for text in directions:
        spec += _directions(model, text)
    for name in features:
        layer, latent, position = place(name)
        spec.append(targets.feature(layer, position, latent))
    if not spec:
        return targets.top_logits(most, probability)
    return spec[0] if len(spec) == 1 else targets.together(*spec)


def place(name: str) -> tuple[int, int, int]:
    """(layer, latent, position) of a feature's name."""
    try:
        layer, latent, position = map(int, name.split("_"))
    except ValueError:
        raise DataError(f"{name!r} is no feature: write LAYER_LATENT_POSITION, such as 3_77_12") from None
    return layer, latent, position


def _directions(model: Model, text: str) -> list[TargetSpec]:
    from mindscope.circuits.attribution import targets

    file, _, layer = text.rpartition("@") if text.rpartition("@")[2].isdigit() else (text, "", "")
    at = int(layer) if layer else default_layer(model)
    found = find_vectors(Path(file), model)
    return [targets.direction(vectors.trait, vectors.direction(at)) for vectors in found]


def _dictionary(name: str, model: Model) -> Dictionary:
    from mindscope.dictionaries import HEAD, Dictionary, ReadOptions, read_dictionary, stack_dictionaries

    path = dictionary_file(f"{ORGANISM}:clt" if name == ORGANISM else name)
    if not path.exists():
        raise DataError(
            f"no dictionary {name!r}: give a file, a folder, `neurons`, or `organism` for the organism's own"
        )
    if path.suffix == ".safetensors" or (path / HEAD).exists():
        return Dictionary.load(path, model, lazy=True)
    if (path / "config.yaml").exists():
        return read_dictionary(path, None, ReadOptions(model, lazy=True))
    layers = [Dictionary.load(file, model) for file in dictionary_files([path]).values()]
    if len(layers) == 1:
        return layers[0]
    return stack_dictionaries(sorted(layers, key=lambda one: int(one.reads[0].address.rpartition(".")[2])))
