"""An attribution graph: what led a model to say what it said on one prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mindscope.circuits.graph.artifact import read_graph, write_graph
from mindscope.circuits.graph.nodes import AttributionTarget, GraphNode, Kind, key_of, name_of
from mindscope.errors import DataError, StoreError
from mindscope.models import Model


@dataclass(frozen=True, eq=False)
class AttributionGraph:
    """Nodes and signed direct effects between them, for one prompt and one replacement of the model's MLPs.

    Nodes come in the order: features by (layer, position, latent), errors (layer * positions + position),
    tokens by position, targets. Sources are the first three groups; features and targets are explained, and
    have a row each. In the replacement model everything between nodes is linear, so that a row's edges (from
    all sources, selected or not) and its bias sum to its pre-activation (Ameisen et al. 2025, "Circuit
    Tracing", section 3). Tensors are float32 on the CPU, `features` int64.

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
        dictionary: digest of the dictionary, or "neurons".
        metadata: how it was made: model, settings, versions, validation. JSON values.

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
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in (self._wrong_shape, self._wrong_features, self._wrong_targets, self._wrong_edges):
            if (said := problem()) is not None:
                raise DataError(f"the graph {said}")

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
        targets = [self.n_layers if one.layer is None else one.layer for one in self.targets]
        return torch.cat([self.features[:, 0].long(), errors, tokens, torch.tensor(targets).long()])

    @cached_property
    def positions(self) -> Int[Tensor, "nodes"]:
        """Every node's position."""
        each = torch.arange(self.n_positions)
        targets = [self.n_positions - 1 if one.position is None else one.position for one in self.targets]
        features = self.features[:, 1].long()
        return torch.cat([features, each.repeat(self.n_layers), each, torch.tensor(targets).long()])

    @cached_property
    def target_weights(self) -> Float[Tensor, "targets"]:
        """The targets' weights."""
        return torch.tensor([one.weight for one in self.targets], dtype=torch.float32)

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
        if (found := self._indices.get(key_of(node))) is None:
            raise DataError(f"the graph has no {node.kind} of layer {node.layer} at position {node.position}")
        return found

    def id(self, index: int) -> str:
        """The name of a node, by which :meth:`find` finds it (`nodes.name_of`)."""
        return name_of(self.node(index), self.n_layers)

    def find(self, name: str) -> int:
        """The index of the node that :meth:`id` names so.

        Raises:
            DataError: there is none.
        """
        if (found := self._names.get(name)) is None:
            raise DataError(
                f"the graph has no node {name!r}: a feature is LAYER_LATENT_POSITION, an error "
                "LAYER_-1_POSITION, a token E_ID_POSITION"
            )
        return found

    # Edges

    @cached_property
    def magnitudes(self) -> Float[Tensor, "rows"]:
        """The sum of the absolute edges of each row, without the unselected features."""
        return self.edges.abs().sum(1)

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
                (where one is given), or holds something that is no graph.
        """
        tensors, edges, values = read_graph(path, TENSORS, VALUES, model.fingerprint if model else None)
        try:
            values["targets"] = tuple(AttributionTarget(**one) for one in values["targets"])
            values["ids"] = tuple(map(int, values["ids"]))
            values["tokens"] = tuple(map(str, values["tokens"]))
            values["n_layers"] = int(values["n_layers"])
            return cls(edges=edges, **tensors, **values)
        except (TypeError, ValueError, DataError) as error:
            raise StoreError(f"{path} cannot be used: {error}; trace it again") from None

    # Checks

    @cached_property
    def _indices(self) -> dict[tuple[Kind, int, int, int | None], int]:
        return {key_of(self.node(i)): i for i in range(self.n_nodes)}

    @cached_property
    def _names(self) -> dict[str, int]:
        return {self.id(i): i for i in range(self.n_nodes)}

    def _wrong_shape(self) -> str | None:
        if not self.ids or not self.targets or self.n_layers < 1:
            return "needs a token, a layer and a target at least"
        if len(self.tokens) != len(self.ids):
            return f"has {len(self.ids)} token ids but {len(self.tokens)} texts"
        if self.features.ndim != 2 or self.features.shape[1] != 3:
            return f"has features of shape {tuple(self.features.shape)}, [features, 3] is needed"
        n_rows = self.n_features + len(self.targets)
        sizes = {
            "activations": (self.n_features,),
            "edges": (n_rows, self.n_sources),
            **dict.fromkeys(ROWS, (n_rows,)),
        }
        for name, size in sizes.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != size:
                return f"has {name} of shape {tuple(tensor.shape)}, {size} is needed"
            if not tensor.isfinite().all():
                return f"has NaN or infinity among its {name}"
        return None

    def _wrong_features(self) -> str | None:
        layer, position, latent = self.features.long().unbind(1)
        inside = (layer >= 0) & (layer < self.n_layers) & (position >= 0) & (position < self.n_positions)
        if not (inside & (latent >= 0)).all():
            return "has a feature outside its layers and positions"
        width = int(latent.max()) + 1 if len(latent) else 1
        order = (layer * self.n_positions + position) * width + latent
        if not (order.diff() > 0).all():
            return "has features that repeat or are not sorted by (layer, position, latent)"
        return None

    def _wrong_targets(self) -> str | None:
        for one in self.targets:
            layer, position = one.layer or 0, one.position or 0
            if not (0 <= layer <= self.n_layers and 0 <= position < self.n_positions):
                return f"has the target {one.label!r} outside its layers and positions"
        if not self.target_weights.isfinite().all():
            return "has a target whose weight is NaN or infinite"
        return None

    def _wrong_edges(self) -> str | None:
        """An edge can only come from a lower layer (or a token), and from the same position or one before."""
        layers, positions = self.layers[: self.n_sources], self.positions[: self.n_sources]
        # in parts, as the mask of all rows would be as large as the edges
        for at in torch.arange(len(self.rows)).split(256):
            node = self.rows[at]
            wrong: Bool[Tensor, "some sources"] = (layers >= self.layers[node][:, None]) | (
                positions > self.positions[node][:, None]
            )
            found = (wrong & (self.edges[at].cpu() != 0)).nonzero()
            if len(found):
                row, source = found[0].tolist()
                return f"has a cycle: {self.id(int(node[row]))} cannot depend on {self.id(source)}"
        return None


ROWS = ("preactivations", "biases", "unselected", "unselected_absolute")
TENSORS = ("features", "activations", *ROWS)
VALUES = ("ids", "tokens", "n_layers", "targets", "fingerprint", "replacement_digest", "metadata")
