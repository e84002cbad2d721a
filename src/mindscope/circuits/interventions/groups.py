"""Groups of features turned off and on: the way to exchange one idea in a prompt for another."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.circuits.interventions.intervention import Intervention, Position
from mindscope.errors import DataError


class ActiveFeature(NamedTuple):
    """A feature that is on at a token."""

    layer: int
    position: Position
    latent: int
    activation: float


def find_active(graph: AttributionGraph, group: Supernode | Iterable[str]) -> list[ActiveFeature]:
    """The features of a supernode, or of names of nodes; members that are no features are left out.

    Raises:
        DataError: a name that is not in the graph, or a group without any feature.
    """
    names = group.members if isinstance(group, Supernode) else tuple(group)
    indices = [index for index in map(graph.find, names) if index < graph.n_features]
    if not indices:
        label = group.label if isinstance(group, Supernode) else ", ".join(names)
        raise DataError(f"there is no feature in {label!r}: only features can be changed")
    found = graph.features[indices].tolist()
    values = graph.activations[indices].tolist()
    return [
        ActiveFeature(layer, position, latent, value)
        for (layer, position, latent), value in zip(found, values, strict=True)
    ]


def scale_activations(group: Iterable[ActiveFeature], factor: float = 0.0) -> list[Intervention]:
    """Multiply the activations of a group, each where it is on; 0 turns it off."""
    return [Intervention(one.layer, one.position, one.latent, "scale", factor) for one in group]


def clamp_activations(
    group: Iterable[ActiveFeature], strength: float = 1.0, *, positions: Mapping[int, int] | None = None
) -> list[Intervention]:
    """Set a group to the activations it has, times a strength.

    Args:
        group: in its own prompt.
        strength: of what.
        positions: where each token of its prompt is in the one that is changed; the same place by default.

    Raises:
        DataError: a position that `positions` does not have.
    """
    found = []
    for one in group:
        if positions is not None and not (isinstance(one.position, int) and one.position in positions):
            raise DataError(f"nothing says where token {one.position} of the other prompt is to be")
        at = positions[one.position] if positions and isinstance(one.position, int) else one.position
        found.append(Intervention(one.layer, at, one.latent, "set", strength * one.activation))
    return found


def swap_features(
    off: Sequence[ActiveFeature],
    on: Sequence[ActiveFeature],
    *,
    factor: float = 0.0,
    strength: float = 1.0,
    positions: Mapping[int, int] | None = None,
) -> list[Intervention]:
    """Turn one group off, and set another to the activations it has in a prompt of its own.

    This is how Lindsey et al. 2025 ("On the Biology of a Large Language Model") exchange Texas for California
    in a question about a capital. A feature of both groups at the same token is set, not turned off.

    Args:
        off: features of the prompt that is changed.
        on: features of another prompt, with their activations there.
        factor: what `off` is multiplied by; below 0 pushes the other way.
        strength: what activations of `on` are multiplied by.
        positions: where each token of the other prompt is in the one that is changed (`from_the_end` for
            prompts that end alike); the same place by default.

    Raises:
        DataError: a token of the other prompt that `positions` does not have.
    """
    setting = clamp_activations(on, strength, positions=positions)
    taken = {_place(one) for one in setting}
    return [*scale_activations((one for one in off if _place(one) not in taken), factor), *setting]


def _place(one: ActiveFeature | Intervention) -> tuple[Hashable, ...]:
    """A feature and its token; slices cannot be told apart by hash."""
    at = one.position
    return one.layer, (at.start, at.stop) if isinstance(at, slice) else at, one.latent


def align_ends(length: int, other: int) -> dict[int, int]:
    """Where the tokens of a prompt of `other` tokens are in one of `length`, if both end alike."""
    return {at: at + length - other for at in range(max(0, other - length), other)}
