"""What an intervention leads to: the next token's logits, and what other features do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mindscope.circuits.graph.findings import Mode
from mindscope.circuits.interventions.intervening import intervening_through
from mindscope.circuits.interventions.intervention import Intervention
from mindscope.circuits.replacement.feature_io import FeatureIO, concat_reads
from mindscope.circuits.replacement.local_model import ReplacementModel
from mindscope.errors import DataError
from mindscope.models import Model, Raw, Read, Row, rewritten, right_padded

AT_ONCE = 2**24
"""The most pre-activations that are in memory at a time."""

Features = Int[Tensor, "features 3"]
"""Features as graphs have them: (layer, position, latent)."""


@dataclass(frozen=True, slots=True, eq=False)
class InterventionOutcome:
    """What one intervention led to.

    Attributes:
        logits: of the token after the prompt.
        preactivations: `[features]`, of the features that were asked about; a gated neuron has none but its
            activation. Of a feature that was changed: what it would have been.
        activations: likewise.
    """

    logits: Float[Tensor, "vocabulary"]
    preactivations: Float[Tensor, "features"]
    activations: Float[Tensor, "features"]


def intervene(
    model: Model,
    replacement: ReplacementModel,
    row: Row,
    interventions: Sequence[Intervention],
    *,
    mode: Mode = "open",
    layers: range | None = None,
    features: Features | None = None,
) -> InterventionOutcome:
    """Change features of one prompt, and see what becomes of its next token and of other features.

    Args:
        model: the model.
        replacement: whose features are meant.
        row: the prompt.
        interventions: the changes; none gives the model's own values in that mode.
        mode: see `intervening`, and for `layers`.
        layers: of mode `constrained`.
        features: `[features, 3]`, which to look at, active or not.

    Raises:
        DataError: see `intervening`; and a change or a feature that lies outside of the prompt.
    """
    outcomes = intervene_batch(
        model, replacement, row, [interventions], mode=mode, layers=layers, features=features
    )
    return outcomes[0]


def intervene_batch(
    model: Model,
    replacement: ReplacementModel,
    row: Row,
    experiments: Sequence[Sequence[Intervention]],
    *,
    mode: Mode = "open",
    layers: range | None = None,
    features: Features | None = None,
) -> list[InterventionOutcome]:
    """`intervene` for many experiments with one prompt, side by side in batches."""
    feature_io = replacement.access(model)
    watched = torch.zeros(0, 3, dtype=torch.long) if features is None else features.long()
    require_features(feature_io, watched, row)
    addresses = list_addresses(feature_io, watched)
    outcomes = []
    for logits, activations in run_experiments(
        model, feature_io, row, experiments, addresses=addresses, mode=mode, layers=layers
    ):
        before, after = read_features(feature_io, watched, activations, len(logits))
        # Copies, so that an outcome that is kept does not keep its whole batch.
        rows = zip(logits.cpu(), before.cpu(), after.cpu(), strict=True)
        outcomes += [InterventionOutcome(*(part.clone() for part in parts)) for parts in rows]
    return outcomes


def run_experiments(
    model: Model,
    feature_io: FeatureIO,
    row: Row,
    experiments: Sequence[Sequence[Intervention]],
    *,
    addresses: Sequence[str],
    mode: Mode,
    layers: range | None = None,
) -> Iterator[tuple[Float[Tensor, "batch vocabulary"], Mapping[str, Tensor]]]:
    """Experiments with one prompt in batches: logits, and `[batch, tokens, width]` by address."""
    model.check_rows([row], filled=True)
    for change in (change for changes in experiments for change in changes):
        if all(start >= len(row) for start, _ in change.spans(row)):
            raise DataError(
                f"{change.name} is to be changed behind the end of a prompt of {len(row)} tokens: give an "
                "earlier position"
            )
    # Experiments are rows of one batch: the same prompt, each with its own changes.
    size = max(1, model.pass_tokens // len(row))
    for start in range(0, len(experiments), size):
        lists = experiments[start : start + size]
        rows = [row] * len(lists)
        with (
            torch.inference_mode(),
            intervening_through(model, feature_io, rows, lists, mode=mode, layers=layers),
            rewritten(model, addresses, [], lambda _, hidden, __: hidden) as passing,
        ):
            logits = model.forward_pass(*right_padded(rows), logits=True)
        assert logits is not None
        yield logits.float(), passing.seen


def require_features(feature_io: FeatureIO, features: Features, row: Row) -> None:
    """Raises DataError unless the model has these features, and the row their positions."""
    for layer, position, latent in features.tolist():
        if not (0 <= layer < len(feature_io.sizes) and 0 <= latent < feature_io.sizes[layer]):
            raise DataError(f"there is no feature {latent} in a layer {layer} of this replacement")
        if not 0 <= position < len(row):
            raise DataError(f"position {position} is outside of a prompt of {len(row)} tokens")


def list_addresses(feature_io: FeatureIO, features: Features) -> list[str]:
    """What has to be read to tell these features."""
    return [address for layer in features[:, 0].unique().tolist() for address in feature_io.reads[layer]]


def read_features(
    feature_io: FeatureIO, features: Features, activations: Mapping[str, Tensor], rows: int
) -> tuple[Float[Tensor, "rows features"], Float[Tensor, "rows features"]]:
    """Pre-activations and activations of features, out of what was read in a pass, by address."""
    before, after = torch.zeros(2, rows, len(features)).unbind()
    for layer in features[:, 0].unique().tolist():
        in_layer = (features[:, 0] == layer).nonzero().flatten()
        # All of the layer's latents are encoded at all of its positions, and the pairs asked for picked out.
        positions, position_of = features[in_layer, 1].unique(return_inverse=True)
        latents, latent_of = features[in_layer, 2].unique(return_inverse=True)
        x = concat_reads(feature_io, layer, activations)
        x = x[:, positions.to(x.device)]
        size = max(1, AT_ONCE // (len(positions) * len(latents)))
        for start in range(0, rows, size):
            part = x[start : start + size]
            encoded = feature_io.activations(layer, part.flatten(0, 1), latents)
            for values, into in zip(encoded, (before, after), strict=True):
                grid = values.view(len(part), len(positions), len(latents))
                into[start : start + size, in_layer] = grid[:, position_of, latent_of].float().cpu()
    return before, after


def read_feature_activations(
    model: Model, replacement: ReplacementModel, rows: Sequence[Row], latents: Sequence[tuple[int, int]]
) -> list[Float[Tensor, "_ latents"]]:
    """The activations of chosen features, (layer, latent), on every token of many prompts, in one pass.

    Raises:
        DataError: a feature that does not exist.
    """
    feature_io = replacement.access(model)
    places = torch.tensor([(layer, 0, latent) for layer, latent in latents]).reshape(-1, 3)
    require_features(feature_io, places, Row((0,), 1))
    reads = {address: Read(address, Raw("all")) for address in list_addresses(feature_io, places)}
    activations = {name: reading.values for name, reading in model.read(rows, reads).items()}
    values = [torch.zeros(len(row), len(latents)) for row in rows]
    ends = np.cumsum([len(row) for row in rows])[:-1].tolist()
    for layer in places[:, 0].unique().tolist():
        in_layer = (places[:, 0] == layer).nonzero().flatten()
        # All rows' tokens behind each other, encoded at once and taken apart again.
        read = {name: torch.cat(list(activations[name])) for name in feature_io.reads[layer]}
        x = concat_reads(feature_io, layer, read).to(model.device)
        _, active = feature_io.activations(layer, x, places[in_layer, 2])
        for value, part in zip(values, active.cpu().tensor_split(ends), strict=True):
            value[:, in_layer] = part.float()
    return values
