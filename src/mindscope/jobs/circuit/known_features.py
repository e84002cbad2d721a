"""What is known of the features that a graph shows: what they say, and what a survey says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindscope.errors import DataError
from mindscope.jobs.circuit.inputs import OpenedGraph
from mindscope.jobs.feature import open_survey, read_labels

if TYPE_CHECKING:
    from torch import Tensor

    from mindscope.circuits import ReplacementModel
    from mindscope.models import Model


@dataclass
class KnownFeatures:
    """What is known of the shown features.

    Attributes:
        details: documents for the page, by (layer, latent).
        labels: by the name of a node.
        effects: `[features, vocabulary]`, what each adds to the logits; None without a model.
    """

    details: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    effects: Tensor | None = None


def gather_known_features(
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
    from mindscope.dictionaries import DictionaryBank
    from mindscope.explain import feature_json, feature_logits, keyless_label

    if not isinstance(replacement, DictionaryReplacement):
        raise DataError("a survey is of a dictionary's features: this graph has neurons")
    dictionary = replacement.dictionary.bind(model)
    bank = DictionaryBank(dictionary)
    survey, labels = open_survey(run, bank), read_labels(run)
    order, _, _ = match_layers(dictionary, model)
    positions: dict[tuple[int, int], list[int]] = {}  # of each (layer, latent)
    for layer, position, latent in shown.tolist():
        positions.setdefault((layer, latent), []).append(position)
    numbers = {(layer, latent): dictionary.latents(order[layer])[latent] for layer, latent in positions}
    effects = feature_logits(model, bank, list(numbers.values()))
    for ((layer, latent), number), logits in zip(numbers.items(), effects, strict=True):
        known.details[layer, latent] = feature_json(survey, number, transcoder_id=run.name, logits=logits)
        text = labels[number].text if number in labels else keyless_label(survey, number).text
        for position in positions[layer, latent]:
            known.labels[f"{layer}_{latent}_{position}"] = text
