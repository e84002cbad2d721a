"""Features that write alike: neighbours in one dictionary, and the same feature in other layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mindscope.errors import DataError
from mindscope.features import Direction, FeatureBank, Site

NUMBERS_AT_ONCE = 2**26
"""The most decoder weights that are in memory at a time: a quarter of a gigabyte."""


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
    own = _directions(features.decoder_rows([feature]))[0]
    # features: in pieces, as the decoders of a dictionary of all layers do not fit into memory
    cosines = torch.cat([_directions(rows) @ own for rows in _decoder_pieces(features)])
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
    sites = [site for site in features.writes if features.models[site.model] == direction.fingerprint]
    own = [site for site in sites if site.address == direction.address]
    if not own:
        raise DataError(
            f"these features write {', '.join(site.address for site in sites)}, {direction.name} belongs to "
            f"{direction.address}: use a dictionary of that place"
        )
    unit = direction.unit.cpu()
    cosines = torch.cat(
        [functional.normalize(rows[own[0]], dim=1) @ unit for rows in _decoder_pieces(features)]
    )
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
    sites = [_sole(bank) for bank in sets]
    if len({site.width for site in sites}) > 1:
        raise DataError("these features write vectors of different widths: they share no basis")
    own = _all_directions(sets[which])
    counterparts: list[LayerCounterpart] = []
    for index, bank in enumerate(sets):
        if index == which:
            continue
        rows = _all_directions(bank)
        cosines = rows @ own[feature]
        best = int(cosines.argmax())
        back = int((own @ rows[best]).argmax())
        counterparts.append(LayerCounterpart(index, best, cosines[best].item(), back == feature))
    return counterparts


def _decoder_pieces(features: FeatureBank) -> Iterator[dict[Site, Float[Tensor, "k _"]]]:
    """What all features write, a few features at a time."""
    size = max(1, NUMBERS_AT_ONCE // sum(site.width for site in features.writes))
    for start in range(0, features.n_features, size):
        yield features.decoder_rows(range(start, min(start + size, features.n_features)))


def _directions(rows: Mapping[Site, Float[Tensor, "k _"]]) -> Float[Tensor, "k widths"]:
    """What each feature writes at all places, side by side, with norm 1 (0 for a dead one)."""
    return functional.normalize(torch.cat(list(rows.values()), dim=1), dim=1)


def _all_directions(features: FeatureBank) -> Float[Tensor, "features width"]:
    return torch.cat([_directions(rows) for rows in _decoder_pieces(features)])


def _sole(features: FeatureBank) -> Site:
    if len(features.writes) != 1:
        raise DataError(
            f"these features write {len(features.writes)} places: compare dictionaries that write one"
        )
    return features.writes[0]


def _top(cosines: Tensor, count: int) -> list[FeatureNeighbour]:
    high = cosines.topk(count)
    return list(map(FeatureNeighbour, high.indices.tolist(), high.values.tolist()))
