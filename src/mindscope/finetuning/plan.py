"""Interventions as edits and penalties: which vector goes where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mindscope.errors import DataError
from mindscope.finetuning.config import (
    ConceptAblation,
    PreventativeSteering,
    ProjectionPenalty,
    TrainingIntervention,
)
from mindscope.models import Edit, Model
from mindscope.personas import PersonaVectors


@dataclass(frozen=True)
class PenaltyTerm:
    """weight * (a . v^)^2, or weight * (a . v^), at one address."""

    address: str
    unit: Float[Tensor, "width"]
    weight: float
    squared: bool

    def sum(
        self, hidden: Float[Tensor, "rows columns width"], learnt: Bool[Tensor, "rows columns"]
    ) -> Float[Tensor, ""]:
        """Summed over the tokens that are learnt, in float32, with its gradient."""
        along = hidden[learnt].float() @ self.unit.to(hidden.device)
        return self.weight * (along.square() if self.squared else along).sum()


@dataclass(frozen=True)
class TrainingPlan:
    """All interventions of one training."""

    edits: tuple[Edit, ...] = ()
    penalties: tuple[PenaltyTerm, ...] = ()

    @property
    def edited(self) -> tuple[str, ...]:
        """The addresses that are edited, each once."""
        return tuple(dict.fromkeys(edit.address for edit in self.edits))

    @property
    def penalised(self) -> tuple[str, ...]:
        """The addresses whose projections are penalised, each once."""
        return tuple(dict.fromkeys(penalty.address for penalty in self.penalties))


def build_plan(
    interventions: Sequence[TrainingIntervention], vectors: Sequence[PersonaVectors], model: Model
) -> TrainingPlan:
    """Find each intervention's vectors.

    Raises:
        DataError: an intervention names a trait without vectors or a layer that is not there, or the
            vectors belong to another model.
    """
    by_trait = {item.trait: item for item in vectors}
    if len(by_trait) < len(vectors):
        raise DataError("two sets of vectors are of the same trait: give one for each trait")
    for item in vectors:
        item.require(model)
    for item in interventions:
        if item.trait not in by_trait:
            known = ", ".join(by_trait) or "none"
            raise DataError(f"there are no vectors of '{item.trait}': give them beside those of {known}")
    edits = [
        edit
        for item in interventions
        if isinstance(item, PreventativeSteering)
        for edit in _steering(item, by_trait[item.trait])
    ]
    edits += _ablation([item for item in interventions if isinstance(item, ConceptAblation)], by_trait)
    penalties = [
        PenaltyTerm(f"resid_post.{layer}", vector / vector.norm(), item.weight, item.form == "squared")
        for item in interventions
        if isinstance(item, ProjectionPenalty)
        for layer, vector in _vectors(by_trait[item.trait], item.layer).items()
    ]
    return TrainingPlan(tuple(edits), tuple(penalties))


def _steering(steering: PreventativeSteering, vectors: PersonaVectors) -> list[Edit]:
    if steering.layer is not None:
        return [vectors.direction(steering.layer).edit(steering.coefficient, "all")]
    return [
        Edit(f"resid_post.{layer}", "add", increment, steering.coefficient)
        for layer, increment in enumerate(vectors.incremental())
        if increment.any()
    ]


def _ablation(ablations: Sequence[ConceptAblation], by_trait: Mapping[str, PersonaVectors]) -> list[Edit]:
    """Directions of one layer are made orthogonal: one after the other would put back what others took."""
    by_layer: dict[int, list[Tensor]] = {}
    for item in ablations:
        for layer, vector in _vectors(by_trait[item.trait], item.layer).items():
            by_layer.setdefault(layer, []).append(vector)
    edits: list[Edit] = []
    for layer, directions in by_layer.items():
        # The right singular vectors with a singular value are a basis of what the directions span.
        stacked = torch.stack([vector / vector.norm() for vector in directions]).double()
        _, sizes, basis = torch.linalg.svd(stacked, full_matrices=False)
        edits += [
            Edit(f"resid_post.{layer}", "ablate", direction.float())
            for direction, size in zip(basis, sizes, strict=True)
            if size > 1e-6
        ]
    return edits


def _vectors(vectors: PersonaVectors, layer: int | None) -> dict[int, Tensor]:
    layers = vectors.layers if layer is None else (layer,)
    return {layer: vectors.direction(layer).vector for layer in layers}
