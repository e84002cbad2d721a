"""Nodes of an attribution graph, what it explains, and how both are named."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["feature", "error", "token", "target"]


@dataclass(frozen=True, slots=True)
class AttributionTarget:
    """What a graph explains: a logit, a direction in the residual stream, or one feature.

    Attributes:
        label: how people read it, such as `Output "Paris"`.
        token: the vocabulary id of a logit; None for anything else.
        weight: how much it counts: a logit's probability, a given direction's own weight.
        layer: how many blocks' MLP outputs it reads: all of them (None) for a logit, l + 1 for a direction in
            `resid_post.l`, l for a feature of layer l.
        position: of the token it is read at; None for the last one.
    """

    label: str
    token: int | None
    weight: float
    layer: int | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node. `layer` is -1 for a token and as in :class:`AttributionTarget` for a target.

    `latent` counts within the layer for a feature, and is the number of the target for a target.
    """

    kind: Kind
    layer: int
    position: int
    latent: int | None = None
    token: int | None = None


def name_of(node: GraphNode, n_layers: int) -> str:
    """The name of a node in public graph files.

    `L_latent_position`, `L_-1_position` (an error), `E_token_position`, `{n_layers + 1}_token_position` (a
    target; one that is not a token has minus its number, counted from 1, in the token's place).
    """
    if node.kind == "feature":
        return f"{node.layer}_{node.latent}_{node.position}"
    if node.kind == "error":
        return f"{node.layer}_-1_{node.position}"
    if node.kind == "token":
        return f"E_{node.token}_{node.position}"
    return f"{n_layers + 1}_{vocabulary_of(node)}_{node.position}"


def vocabulary_of(target: GraphNode) -> int:
    """What stands for a target in the vocabulary: its token, or minus its number, counted from 1."""
    return target.token if target.token is not None else -1 - (target.latent or 0)


def key_of(node: GraphNode) -> tuple[Kind, int, int, int | None]:
    """What tells nodes of a graph apart: two targets can lie at one place, two errors or tokens cannot."""
    return node.kind, node.layer, node.position, node.latent
