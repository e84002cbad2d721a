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
    """The features of a supernode, or of names of nodes; members that are not features are left out.

    Raises:
        DataError: a name that is not in the graph, or a group without any feature.
    """
    names = group.members if isinstance(group, Supernode) else tuple(group)
    indices = [index for index in map(graph.find, names) if index < graph.n_features]
    if not indices:
        label = group.label if isinstance(group, Supernode) else ", ".join(names)
        raise DataError(f"there is no feature in {label!r}: only features can be changed")
    rows = zip(graph.features[indices].tolist(), graph.activations[indices].tolist(), strict=True)
    return [ActiveFeature(layer, position, latent, value) for (layer, position, latent), value in rows]


def scale_activations(group: Iterable[ActiveFeature], factor: float = 0.0) -> list[Intervention]:
    """Multiply the activations of a group, each where it is on; 0 turns it off."""
    return [Intervention(active.layer, active.position, active.latent, "scale", factor) for active in group]


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
    changes = []
    for active in group:
        position = active.position
        if positions is not None:
            if not (isinstance(position, int) and position in positions):
                raise DataError(
                    f"positions does not say where token {position} of the other prompt is: add it, or leave "
                    "the feature out"
                )
            position = positions[position]
        changes.append(
            Intervention(active.layer, position, active.latent, "set", strength * active.activation)
        )
    return changes


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
        positions: where each token of the other prompt is in the one that is changed (`align_ends` for
            prompts that end alike); the same place by default.

    Raises:
        DataError: a token of the other prompt that `positions` does not have.
    """
    setting = clamp_activations(on, strength, positions=positions)
    # A feature cannot be changed twice at one token: setting goes before turning off.
    both = {_place(change) for change in setting}
    return [*scale_activations((active for active in off if _place(active) not in both), factor), *setting]


def _place(feature: ActiveFeature | Intervention) -> tuple[Hashable, ...]:
    """A feature and its token; slices have no hash before Python 3.12."""
    position = feature.position
    if isinstance(position, slice):
        return feature.layer, (position.start, position.stop), feature.latent
    return feature.layer, position, feature.latent


def align_ends(length: int, other: int) -> dict[int, int]:
    """Where the tokens of a prompt of `other` tokens are in one of `length`, if both end alike."""
    shift = length - other
    return {position: position + shift for position in range(max(0, -shift), other)}
