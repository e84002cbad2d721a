"""The rows traced so far on a prompt, and the influence of features through them."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.attribution.backward import EdgeBlock
from mindscope.circuits.attribution.config import ROWS_IN_MEMORY
from mindscope.circuits.attribution.row_file import RowFile, StoredRows
from mindscope.circuits.index_spaces import TraceRow
from mindscope.circuits.replacement.local_model import LocalReplacementModel


class TracedBlock:
    """Rows that were traced together. What they have from features and errors may lie on disk.

    Attributes:
        rows: which they are, by falling point of the stream.
        tokens, bias: see `EdgeBlock`.
    """

    def __init__(self, rows: TraceRow, edges: EdgeBlock, file: RowFile | None):
        self.rows, self.tokens, self.bias = rows, edges.tokens, edges.bias
        self._shape = edges.errors.shape
        self._features: Tensor | StoredRows = edges.features
        self._errors: Tensor | StoredRows = edges.errors
        if file is not None:
            self._features, self._errors = file.append(edges.features), file.append(edges.errors.flatten(1))

    @property
    def n_columns(self) -> int:
        """How many features the rows can reach."""
        return self._features.shape[1]

    def features(self, part: slice = slice(None)) -> Float[Tensor, "rows columns"]:
        """What features give to some of the rows."""
        stored = self._features
        return stored[part] if isinstance(stored, Tensor) else stored.rows(part, self.bias.device)

    def errors(self) -> Float[Tensor, "rows layers tokens"]:
        """What errors give to the rows."""
        stored = self._errors
        if isinstance(stored, Tensor):
            return stored
        return stored.rows(slice(None), self.bias.device).view(self._shape)


class TracedRows:
    """Rows in blocks as they were traced, in a file once they are many.

    A `TraceRow` below `n_features` is a feature, above it a target.

    Attributes:
        blocks: the rows of each block, and their edges.
        magnitudes: of each block's rows, the sum of their edges' magnitudes over all features.
        traced: `[features]`, which features have a row.
    """

    def __init__(
        self, local_model: LocalReplacementModel, n_targets: int, folder: Path | None = None
    ) -> None:
        self.local_model, self.n_targets = local_model, n_targets
        self.blocks: list[TracedBlock] = []
        self._folder, self._bytes = folder, 0
        self._file: RowFile | None = None
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
        self._bytes += 4 * (edges.features.numel() + edges.errors.numel())
        if self._bytes > ROWS_IN_MEMORY and self._file is None:
            self._file = RowFile(self._folder)
        self.blocks.append(TracedBlock(rows, edges, self._file))
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
            share = mass / self._totals[block][rows].clamp(min=1e-8)
            features = self.blocks[block].features(rows).abs()
            by_column[: features.shape[1]] += share @ features

        layers = []  # of each block's rows, falling; none for a block of targets
        for block, rows in enumerate(own.rows for own in self.blocks):
            if bool((rows >= self.n_features).any()):
                push(block, slice(None), weights[rows - self.n_features])
                layers.append([])
            else:
                layers.append(layer_of[rows].tolist())
        for layer in range(self.local_model.n_layers - 1, -1, -1):
            in_layer = layer_of == layer
            influence[in_layer] = by_column[self.local_model.column_of[in_layer]]
            for block, rows in enumerate(own.rows for own in self.blocks):
                # Rows of a block come by falling layer: those of one layer lie side by side.
                if count := layers[block].count(layer):
                    start = layers[block].index(layer)
                    span = slice(start, start + count)
                    push(block, span, influence[rows[span]])
        return influence
