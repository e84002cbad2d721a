"""An attribution graph: what led a model to say what it said on one prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.graph.artifact import parse_values, read_graph, write_graph
from mindscope.circuits.graph.checks import ROWS, find_fault
from mindscope.circuits.graph.findings import AttentionFindings, GraphValidation
from mindscope.circuits.graph.nodes import AttributionTarget, GraphNode, Kind, key_of, name_of
from mindscope.errors import DataError, StoreError
from mindscope.models import Model


@dataclass(frozen=True, eq=False)
class AttributionGraph:
    """Nodes and signed direct effects between them, for one prompt and one replacement of the model's MLPs.

    Nodes come in the order: features by (layer, position, latent), errors (layer * positions + position),
    tokens by position, targets. Sources are the first three groups, and a column each; features and targets
    are explained, and have a row each. In the replacement model everything between nodes is linear, so that a
    row's edges (from all sources, selected or not) and its bias sum to its pre-activation (Ameisen et al.
    2025, "Circuit Tracing", section 3). Tensors are float32 on the CPU, `features` int64.

    Attributes:
        ids: the prompt's tokens.
        tokens: how they read.
        n_layers: of the model.
        features: `[features, 3]`, the selected ones as (layer, position, latent); a latent counts within its
            layer.
        activations: `[features]`.
        targets: at least one.
        edges: `[rows, sources]`, the direct effect of a source on a row, in the row's own units.
        preactivations: `[rows]`, the row's linear value: a feature's pre-activation, a target's value along
            the vector that was injected (a logit less the mean of all logits).
        biases: `[rows]`, what of it no node explains.
        unselected: `[rows]`, the sum of the edges from active features that the graph leaves out.
        unselected_absolute: `[rows]`, the sum of their magnitudes.
        fingerprint: of the model.
        replacement_digest: of the dictionary, or "neurons".
        replacement_name: by which the replacement can be loaded again; None if nobody said.
        skip_tokens: at how many first positions features and errors are not nodes.
        target_spec: what the targets were resolved from, as `TargetSpec.description` has it.
        attention: what is known of the heads that carry its edges, once it has been asked.
        validation: how far its predictions hold in the model, once it has been checked.
        metadata: how it was made: model, settings, versions. JSON values.

    Raises:
        DataError: shapes do not fit together, features are out of order, a number is NaN or infinite, or an
            edge closes a cycle.
    """

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    n_layers: int
    features: Tensor
    activations: Tensor
    targets: tuple[AttributionTarget, ...]
    edges: Tensor
    preactivations: Tensor
    biases: Tensor
    unselected: Tensor
    unselected_absolute: Tensor
    fingerprint: str
    replacement_digest: str
    replacement_name: str | None = None
    skip_tokens: int = 1
    target_spec: Mapping[str, Any] = field(default_factory=dict)
    attention: AttentionFindings | None = None
    validation: GraphValidation | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (fault := find_fault(self)) is not None:
            raise DataError(f"the graph {fault}")

    # Sizes and nodes

    @property
    def n_positions(self) -> int:
        return len(self.ids)

    @property
    def n_features(self) -> int:
        return len(self.features)

    @property
    def n_errors(self) -> int:
        return self.n_layers * self.n_positions

    @property
    def n_sources(self) -> int:
        return self.n_features + self.n_errors + self.n_positions

    @property
    def n_nodes(self) -> int:
        return self.n_sources + len(self.targets)

    @cached_property
    def rows(self) -> Int[Tensor, "rows"]:
        """The node that each row of `edges` explains."""
        return torch.cat([torch.arange(self.n_features), torch.arange(self.n_sources, self.n_nodes)])

    @cached_property
    def layers(self) -> Int[Tensor, "nodes"]:
        """Every node's layer, as :class:`GraphNode` has it."""
        errors = torch.arange(self.n_layers).repeat_interleave(self.n_positions)
        tokens = torch.full((self.n_positions,), -1)
        targets = [self.n_layers if target.layer is None else target.layer for target in self.targets]
        return torch.cat([self.features[:, 0].long(), errors, tokens, torch.tensor(targets).long()])

    @cached_property
    def positions(self) -> Int[Tensor, "nodes"]:
        """Every node's position."""
        tokens = torch.arange(self.n_positions)
        last = self.n_positions - 1
        targets = [last if target.position is None else target.position for target in self.targets]
        features = self.features[:, 1].long()
        return torch.cat([features, tokens.repeat(self.n_layers), tokens, torch.tensor(targets).long()])

    @cached_property
    def target_weights(self) -> Float[Tensor, "targets"]:
        """The targets' weights."""
        return torch.tensor([target.weight for target in self.targets], dtype=torch.float32)

    def node(self, index: int) -> GraphNode:
        """The node of an index.

        Raises:
            DataError: there is none.
        """
        if not 0 <= index < self.n_nodes:
            raise DataError(f"the graph has nodes 0 to {self.n_nodes - 1}, not {index}")
        layer, position = int(self.layers[index]), int(self.positions[index])
        if index < self.n_features:
            return GraphNode("feature", layer, position, latent=int(self.features[index, 2]))
        if index < self.n_features + self.n_errors:
            return GraphNode("error", layer, position)
        if index < self.n_sources:
            return GraphNode("token", layer, position, token=self.ids[position])
        number = index - self.n_sources
        return GraphNode("target", layer, position, latent=number, token=self.targets[number].token)

    def index(self, node: GraphNode) -> int:
        """The index of a node.

        Raises:
            DataError: it is not in the graph.
        """
        if (index := self._indices.get(key_of(node))) is None:
            raise DataError(f"the graph has no {node.kind} of layer {node.layer} at position {node.position}")
        return index

    def id(self, index: int) -> str:
        """The name of a node, by which :meth:`find` finds it (`nodes.name_of`)."""
        return name_of(self.node(index), self.n_layers)

    def find(self, name: str) -> int:
        """The index of the node that :meth:`id` names so.

        Raises:
            DataError: there is none.
        """
        if (index := self._names.get(name)) is None:
            raise DataError(
                f"the graph has no node {name!r}: a feature is LAYER_LATENT_POSITION, an error "
                "LAYER_-1_POSITION, a token E_ID_POSITION"
            )
        return index

    # Edges

    @cached_property
    def magnitudes(self) -> Float[Tensor, "rows"]:
        """The sum of the absolute edges of each row, without the unselected features."""
        return vector_norm(self.edges, 1, dim=1)  # without a copy of the edges

    def row_normalised(self, unselected: bool = False) -> Float[Tensor, "rows sources"]:
        """What share of a row's absolute inputs each source has: |edges| by the row's sum.

        Args:
            unselected: whether the features that the graph leaves out count in the sum, so that rows sum to
                less than one.
        """
        total = self.magnitudes + self.unselected_absolute if unselected else self.magnitudes
        return self.edges.abs() / total.clamp(min=1e-10)[:, None]

    @cached_property
    def row_of(self) -> dict[int, int]:
        """The row of `edges` that explains a node; errors and tokens have none."""
        return {node: row for row, node in enumerate(self.rows.tolist())}

    def adjacency(self, nodes: Int[Tensor, "some"] | None = None) -> Float[Tensor, "some some"]:
        """The edges as a square matrix [target, source]; errors and tokens have zero rows.

        Args:
            nodes: among which; all of them if left out.
        """
        nodes = torch.arange(self.n_nodes) if nodes is None else nodes
        # Only some of the nodes have a row, and only some a column: the rest of the square stays zero.
        square = self.edges.new_zeros(len(nodes), len(nodes))
        targets = [i for i, node in enumerate(nodes.tolist()) if node in self.row_of]
        sources = (nodes < self.n_sources).nonzero()[:, 0]
        rows = torch.tensor([self.row_of[int(nodes[i])] for i in targets]).long()
        square[torch.tensor(targets).long()[:, None], sources] = self.edges[rows[:, None], nodes[sources]]
        return square

    # Files

    def save(self, path: Path | str) -> None:
        """Write it to a `.safetensors` file; zero edges take no room if most are zero.

        Raises:
            StoreError: the metadata is not JSON, or the disk refuses.
        """
        write_graph(
            path,
            {name: getattr(self, name) for name in TENSORS},
            self.edges,
            {name: getattr(self, name) for name in VALUES},
        )

    @classmethod
    def load(cls, path: Path | str, model: Model | None = None) -> "AttributionGraph":
        """Read a graph that :meth:`save` wrote.

        Raises:
            StoreError: one line, for a file that is absent, damaged, of a newer version, of another model
                (where one is given), or holds something that is not a graph.
        """
        tensors, edges, values = read_graph(path, TENSORS, VALUES, model.fingerprint if model else None)
        try:
            return cls(edges=edges, **tensors, **parse_values(values))
        except (TypeError, ValueError, DataError) as error:
            raise StoreError(f"{path} cannot be used: {error}; trace it again") from None

    # Names

    @cached_property
    def _indices(self) -> dict[tuple[Kind, int, int, int | None], int]:
        return {key_of(self.node(i)): i for i in range(self.n_nodes)}

    @cached_property
    def _names(self) -> dict[str, int]:
        return {self.id(i): i for i in range(self.n_nodes)}


TENSORS = ("features", "activations", *ROWS)
VALUES = (
    "ids",
    "tokens",
    "n_layers",
    "targets",
    "fingerprint",
    "replacement_digest",
    "replacement_name",
    "skip_tokens",
    "target_spec",
    "attention",
    "validation",
    "metadata",
)
