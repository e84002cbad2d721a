"""`mindscope circuit export`: a graph as a page that works offline, or as public JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindscope.cli import options
from mindscope.cli.circuit.options import (
    DictionaryName,
    EdgeShare,
    GraphFile,
    NodeShare,
    OpenedGraph,
    open_graph,
    replacement_of,
)
from mindscope.cli.output import Json, print_json
from mindscope.errors import DataError
from mindscope.jobs import load_model

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.circuits import ReplacementModel
    from mindscope.models import Model


@dataclass
class KnownFeatures:
    """What is known of the shown features: documents for the page, labels by node, effects on the logits."""

    details: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    effects: Tensor | None = None


def export_(
    graph: GraphFile,
    to: Annotated[
        Path, typer.Argument(help="An .html page, which works offline, or a folder for the public JSON.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model, to say which tokens each feature raises and lowers.", show_default=False
        ),
    ] = None,
    dictionary: DictionaryName = None,
    survey: Annotated[
        Path | None,
        typer.Option(
            help="A run of `feature survey` of the dictionary: contexts and labels. Needs --model.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[bool, typer.Option("--groups", help="Group features automatically.")] = False,
    slug: Annotated[str, typer.Option(help="The name of the public graph.")] = "graph",
    scan: Annotated[
        str | None, typer.Option(help="The public name of model and dictionary.", show_default=False)
    ] = None,
    title: Annotated[str, typer.Option(help="At the head of the page; the prompt by default.")] = "",
    nodes: NodeShare = 0.8,
    edges: EdgeShare = 0.98,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Write a graph as one page, or as the JSON that Neuronpedia and the public page open."""
    from mindscope.circuits import build_graph_page, find_supernodes, write_graph_json

    opened = open_graph(graph, nodes, edges)
    known = KnownFeatures()
    if model is not None:
        loaded = load_model(model, "float32", device)
        replacement = replacement_of(opened.graph, dictionary, loaded)
        known = known_features(opened, loaded, replacement, survey)
    elif survey is not None:
        raise DataError("--survey needs --model")
    labels = {**known.labels, **opened.view.labels}
    supernodes = opened.view.supernodes
    if groups:
        supernodes = find_supernodes(opened.graph, opened.pruned, labels=labels, effects=known.effects)
    if to.suffix == ".html":
        page = build_graph_page(opened.graph, opened.pruned, supernodes, labels, known.details, title=title)
        written = page.write(to)
    else:
        view = replace(opened.view, supernodes=supernodes, labels=labels)
        written = write_graph_json(
            to, opened.graph, opened.pruned, slug=slug, scan=scan, view=view, details=known.details
        )
    if json:
        print_json({"written": str(written), "supernodes": len(supernodes), "labels": len(labels)})
    else:
        typer.echo(f"written: {written}")


def known_features(
    opened: OpenedGraph, model: Model, replacement: ReplacementModel, survey: Path | None
) -> KnownFeatures:
    """What the model, and a survey if there is one, say of the features that are shown."""
    from mindscope.circuits import compute_feature_effects, describe_logits

    graph = opened.graph
    shown = graph.features[opened.pruned.node_mask[: graph.n_features]]
    effects = compute_feature_effects(model, replacement, shown)
    known = KnownFeatures(describe_logits(model, shown, effects), effects=effects)
    if survey is not None:
        _add_survey(known, model, replacement, survey, shown)
    return known


def _add_survey(
    known: KnownFeatures, model: Model, replacement: ReplacementModel, run: Path, shown: Tensor
) -> None:
    """Contexts, histograms and labels out of a survey of the whole dictionary."""
    from mindscope.circuits import DictionaryReplacement, match_layers
    from mindscope.cli.feature.options import known_labels, open_survey
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import feature_json, feature_logits, keyless_label

    if not isinstance(replacement, DictionaryReplacement):
        raise DataError("a survey is of a dictionary's features: this graph has neurons")
    dictionary = replacement.dictionary.bind(model)
    features = DictionaryBank(dictionary)
    found, labels = open_survey(run, features), known_labels(run)
    order, _, _ = match_layers(dictionary, model)
    places: dict[tuple[int, int], list[int]] = {}
    for layer, position, latent in shown.tolist():
        places.setdefault((layer, latent), []).append(position)
    numbers = {(layer, latent): dictionary.latents(order[layer])[latent] for layer, latent in places}
    effects = feature_logits(model, features, list(numbers.values()))
    for ((layer, latent), number), logits in zip(numbers.items(), effects, strict=True):
        known.details[layer, latent] = feature_json(found, number, transcoder_id=run.name, logits=logits)
        text = labels[number].text if number in labels else keyless_label(found, number).text
        for position in places[layer, latent]:
            known.labels[f"{layer}_{latent}_{position}"] = text
