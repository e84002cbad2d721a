"""Steering by features: a latent stands in for a persona vector."""

import torch

from mindscope.errors import DataError
from mindscope.explain.neighbours import FeatureNeighbour, read_direction
from mindscope.features import Direction, FeatureBank, written_directions
from mindscope.personas import PersonaVectors


def best_latent(features: FeatureBank, direction: Direction) -> tuple[FeatureNeighbour, Direction]:
    """The single feature that writes most like a direction, as a direction that can stand in for it.

    It has the norm of the direction, so that one coefficient means the same push for both, and its sign.

    Raises:
        DataError: see `read_direction`.
    """
    (nearest,) = read_direction(features, direction, 1)
    place = (direction.address, direction.fingerprint)
    written = next(
        vector
        for vector in written_directions(features, nearest.feature)
        if (vector.address, vector.fingerprint) == place
    )
    norm = direction.vector.float().norm().cpu() * (1 if nearest.cosine > 0 else -1)
    name = f"{features.name(nearest.feature)} for {direction.name}"
    return nearest, Direction(name, direction.address, written.unit.cpu() * norm, direction.fingerprint)


def as_persona(vectors: PersonaVectors, replacement: Direction) -> PersonaVectors:
    """Persona vectors of one layer that hold another direction, for `personas.measure_steering`.

    Raises:
        DataError: the direction is not of the residual stream after a block, or of another model.
    """
    name, _, layer = replacement.address.partition(".")
    if name != "resid_post" or replacement.fingerprint != vectors.fingerprint:
        raise DataError(
            f"{replacement.name} is not a direction of resid_post in the model of '{vectors.trait}': "
            "give one of that model's residual stream after a block"
        )
    matrix = torch.zeros(vectors.n_layers, vectors.d_model)
    matrix[int(layer)] = replacement.vector.float().cpu()
    return PersonaVectors(
        trait=vectors.trait,
        fingerprint=vectors.fingerprint,
        matrices={"answer_mean": matrix},
        layers=(int(layer),),
        made_with=vectors.made_with,
        borrowed=vectors.borrowed,
        metadata={"made_from": replacement.name},
    )
