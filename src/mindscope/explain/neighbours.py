"""Features that write alike: neighbours in one dictionary, and the same feature in other layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureBank


class FeatureNeighbour(NamedTuple):
    """A feature, and the cosine between what it writes and what was asked about."""

    feature: int
    cosine: float


@dataclass(frozen=True)
class LayerCounterpart:
    """The feature of another dictionary that writes most alike.

    Attributes:
        dictionary: its index among those that were given.
        mutual: whether the first feature is also the nearest one of this: then they are likely the same.
    """

    dictionary: int
    feature: int
    cosine: float
    mutual: bool


def find_neighbours(features: FeatureBank, feature: int, count: int = 10) -> list[FeatureNeighbour]:
    """The features of the same set whose decoders are nearest, over all places they write, nearest first."""
    own = _written(features)
    cosines = own @ own[feature]
    cosines[feature] = -torch.inf
    return _top(cosines, min(count, features.n_features - 1))


def read_direction(features: FeatureBank, direction: Direction, count: int = 10) -> list[FeatureNeighbour]:
    """A direction as features: the nearest decoders at its address, the largest absolute cosines first.

    How a persona vector is read as latents of a dictionary. A negative cosine means that the direction
    points away from what the feature writes.

    Raises:
        DataError: the features belong to another model or do not write at the direction's address.
    """
    if direction.fingerprint not in features.models.values():
        raise DataError(f"{direction.name} and these features belong to different models")
    decoders = {
        site.address: rows
        for site, rows in features.decoder_rows().items()
        if features.models[site.model] == direction.fingerprint
    }
    if direction.address not in decoders:
        raise DataError(
            f"these features write {', '.join(decoders)}, {direction.name} belongs to {direction.address}: "
            "use a dictionary of that place"
        )
    cosines = functional.normalize(decoders[direction.address], dim=1) @ direction.unit.cpu()
    order = cosines.abs().topk(min(count, len(cosines))).indices
    return [FeatureNeighbour(int(i), cosines[i].item()) for i in order]


def across_layers(sets: Sequence[FeatureBank], which: int, feature: int) -> list[LayerCounterpart]:
    """The same feature in other layers: the best match in every other dictionary of the residual stream.

    Layers share the stream's basis, so that decoders of one width can be compared.

    Args:
        sets: one dictionary a layer, in any order.
        which: the index of the one that `feature` belongs to.
        feature: the feature.

    Raises:
        DataError: a set writes several places or in another width, or belongs to another model.
    """
    if len({bank.fingerprint for bank in sets}) > 1:
        raise DataError("features are compared across the layers of one model: these are of several")
    written = [_sole(bank) for bank in sets]
    if len({rows.shape[1] for rows in written}) > 1:
        raise DataError("these features write vectors of different widths: they share no basis")
    own = written[which]
    counterparts: list[LayerCounterpart] = []
    for index, rows in enumerate(written):
        if index == which:
            continue
        cosines = rows @ own[feature]
        best = int(cosines.argmax())
        back = int((own @ rows[best]).argmax())
        counterparts.append(LayerCounterpart(index, best, cosines[best].item(), back == feature))
    return counterparts


def _written(features: FeatureBank) -> Float[Tensor, "features width"]:
    """What each feature writes at all places, side by side, with norm 1 (0 for a dead one)."""
    return functional.normalize(torch.cat(list(features.decoder_rows().values()), dim=1), dim=1)


def _sole(features: FeatureBank) -> Float[Tensor, "features width"]:
    decoders = features.decoder_rows()
    if len(decoders) != 1:
        raise DataError(f"these features write {len(decoders)} places: compare dictionaries that write one")
    return functional.normalize(next(iter(decoders.values())), dim=1)


def _top(cosines: Tensor, count: int) -> list[FeatureNeighbour]:
    high = cosines.topk(count)
    return list(map(FeatureNeighbour, high.indices.tolist(), high.values.tolist()))
