"""Which features become nodes when there are too many: those with the most influence on the targets."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from mindscope.circuits.attribution.backward import EdgeBlock
from mindscope.circuits.replacement.local_model import LocalReplacementModel


class TracedRows:
    """The rows traced so far, in blocks as they were traced.

    Attributes:
        traced: `[features]`, which features have a row.
    """

    def __init__(self, local_model: LocalReplacementModel) -> None:
        self.local_model = local_model
        self.blocks: list[tuple[Tensor, EdgeBlock]] = []
        self.traced = torch.zeros(
            local_model.n_features, dtype=torch.bool, device=local_model.embeddings.device
        )
        self._total: list[Tensor] = []
        self._feature_at = local_model.column_of.argsort()

    def add(self, which: Int[Tensor, "rows"], edges: EdgeBlock) -> None:
        """Take in a block.

        Args:
            which: the feature of each row, in the order of the edges; -1 - i for target i.
            edges: of the rows.
        """
        self.blocks.append((which, edges))
        others = vector_norm(edges.errors.flatten(1), 1, dim=1) + vector_norm(edges.tokens, 1, dim=1)
        self._total.append(vector_norm(edges.features, 1, dim=1) + others)
        self.traced[which[which >= 0]] = True

    def compute_influence(self, weights: Float[Tensor, "targets"]) -> Float[Tensor, "features"]:
        """Computes w (A + A² + ...), A the absolute edges of the rows traced, each row divided by its sum.

        One pass: targets first, then layer by layer from the top, since edges only come from below.
        """
        layer_of = self.local_model.features[:, 0]
        found = weights.new_zeros(self.local_model.n_features)
        by_column = weights.new_zeros(self.local_model.n_features)

        def push(at: int, rows: slice, mass: Tensor) -> None:
            edges = self.blocks[at][1]
            share = mass / self._total[at][rows].clamp(min=1e-8)
            by_column[: edges.features.shape[1]] += share @ edges.features[rows].abs()

        layers = []
        for at, (which, _) in enumerate(self.blocks):
            resolved = (which < 0).nonzero().flatten()
            if len(resolved):  # a block of targets alone
                push(at, slice(None), weights[-1 - which])
            layers.append([] if len(resolved) else layer_of[which].tolist())
        for layer in range(self.local_model.n_layers - 1, -1, -1):
            mine = layer_of == layer
            found[mine] = by_column[self.local_model.column_of[mine]]
            for at, (which, _) in enumerate(self.blocks):
                if count := layers[at].count(layer):
                    start = layers[at].index(layer)
                    rows = slice(start, start + count)
                    push(at, rows, found[which[rows]])
        return found


def select_features(
    rows: TracedRows,
    weights: Float[Tensor, "targets"],
    most: int,
    rank_every: int | None,
    add: Callable[[Tensor], None],
) -> Int[Tensor, "selected"]:
    """Choose features, tracing what is needed to know which.

    Exactly (`rank_every` None): the most influential features, by influence through all rows traced, are
    traced, until all of them have been; then no feature that is left out has more influence than one that is
    in. It does not depend on how rows are put into blocks.

    With a number n, as circuit-tracer does: the n most influential that were not taken yet are taken and
    traced, then influence is ranked anew, until there are enough.

    Args:
        rows: with the targets' rows.
        weights: of the targets.
        most: how many are wanted.
        rank_every: see above.
        add: traces features (indices), and adds their rows.

    Returns:
        Indices of `LocalReplacementModel.features`, ascending.
    """
    count = rows.local_model.n_features
    if count <= most:
        add(torch.arange(count, device=weights.device))
        return torch.arange(count, device=weights.device)
    while True:
        ranking = rows.compute_influence(weights).argsort(descending=True, stable=True)
        if rank_every is None:
            best = ranking[:most]
            new = best[~rows.traced[best]]
            if not len(new):
                return best.sort().values
        else:
            left = most - int(rows.traced.sum())
            if left <= 0:
                return rows.traced.nonzero().flatten()
            new = ranking[~rows.traced[ranking]][: min(rank_every, left)]
        add(new)
