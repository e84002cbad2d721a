"""The rows traced so far on a prompt, and the influence of features through them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.attribution.backward import EdgeBlock
from mindscope.circuits.index_spaces import TraceRow
from mindscope.circuits.replacement.local_model import LocalReplacementModel


class TracedRows:
    """Rows in blocks as they were traced. A `TraceRow` below `n_features` is a feature, above it a target.

    Attributes:
        blocks: the rows of each block, in the order of its edges, and the edges.
        magnitudes: of each block's rows, the sum of their edges' magnitudes over all features.
        traced: `[features]`, which features have a row.
    """

    def __init__(self, local_model: LocalReplacementModel, n_targets: int) -> None:
        self.local_model, self.n_targets = local_model, n_targets
        self.blocks: list[tuple[TraceRow, EdgeBlock]] = []
        self.magnitudes: list[Tensor] = []
        self.traced = torch.zeros(
            local_model.n_features, dtype=torch.bool, device=local_model.embeddings.device
        )
        # The sum of each row's magnitudes over all sources, selected or not, block by block.
        self._totals: list[Tensor] = []

    @property
    def n_features(self) -> int:
        return self.local_model.n_features

    @property
    def target_rows(self) -> TraceRow:
        """The rows of the targets."""
        device = self.local_model.embeddings.device
        return torch.arange(self.n_features, self.n_features + self.n_targets, device=device)

    def add(self, rows: TraceRow, edges: EdgeBlock) -> None:
        """Take in a block.

        Args:
            rows: features alone or targets alone, in the order of the edges.
            edges: of the rows.
        """
        self.blocks.append((rows, edges))
        others = vector_norm(edges.errors.flatten(1), 1, dim=1) + vector_norm(edges.tokens, 1, dim=1)
        self.magnitudes.append(vector_norm(edges.features, 1, dim=1))
        self._totals.append(self.magnitudes[-1] + others)
        self.traced[rows[rows < self.n_features]] = True

    def compute_influence(self, weights: Float[Tensor, "targets"]) -> Float[Tensor, "features"]:
        """Computes w (Â + Â² + ...), Â the magnitudes of the rows traced, each row divided by its sum.

        One pass: targets first, then layer by layer from the top, since edges only come from below. What has
        arrived at a feature is complete when its layer's turn comes, and goes on through its row, if it has
        one.
        """
        layer_of = self.local_model.features[:, 0]
        influence = weights.new_zeros(self.n_features)
        by_column = weights.new_zeros(self.n_features)

        def push(block: int, rows: slice, mass: Tensor) -> None:
            """Divide the influence of some rows of a block among their sources."""
            edges = self.blocks[block][1]
            share = mass / self._totals[block][rows].clamp(min=1e-8)
            by_column[: edges.features.shape[1]] += share @ edges.features[rows].abs()

        layers = []  # of each block's rows, falling; none for a block of targets
        for block, (rows, _) in enumerate(self.blocks):
            if bool((rows >= self.n_features).any()):
                push(block, slice(None), weights[rows - self.n_features])
                layers.append([])
            else:
                layers.append(layer_of[rows].tolist())
        for layer in range(self.local_model.n_layers - 1, -1, -1):
            in_layer = layer_of == layer
            influence[in_layer] = by_column[self.local_model.column_of[in_layer]]
            for block, (rows, _) in enumerate(self.blocks):
                # Rows of a block come by falling layer: those of one layer lie side by side.
                if count := layers[block].count(layer):
                    start = layers[block].index(layer)
                    span = slice(start, start + count)
                    push(block, span, influence[rows[span]])
        return influence
