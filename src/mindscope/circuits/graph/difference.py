"""How far a graph that was traced again is from the one that was kept."""

import torch

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.errors import DataError
from mindscope.store.documents import Document


class GraphDifference(Document):
    """What is left of a graph when it is traced again.

    Attributes:
        missing: features of the kept graph, by name, that the other has not.
        targets_changed: whether the two explain other things.
        activations: the largest difference of an activation, over the largest activation.
        edges: the largest difference of an edge that the kept graph has, over the sum of the magnitudes of
            all that enters its target.
        values: the largest difference of a target's value, over the largest magnitude of one.
    """

    missing: tuple[str, ...]
    targets_changed: bool
    activations: float
    edges: float
    values: float

    def is_within(self, tolerance: float) -> bool:
        """Whether all is there, and no number differs by more than this share."""
        largest = max(self.activations, self.edges, self.values)
        return not self.missing and not self.targets_changed and largest <= tolerance


def measure_difference(kept: AttributionGraph, again: AttributionGraph) -> GraphDifference:
    """Compare every node and edge of a graph, which may be pruned, with the same prompt traced again.

    What `again` has beside them is not looked at: pruning leaves it out.

    Raises:
        DataError: they are of different prompts.
    """
    if (kept.ids, kept.n_layers) != (again.ids, again.n_layers):
        raise DataError(
            "the two graphs are of different prompts: compare them with `mindscope circuit compare`"
        )
    numbers = {tuple(place): number for number, place in enumerate(again.features.tolist())}
    places = [numbers.get(tuple(place), -1) for place in kept.features.tolist()]
    theirs = torch.tensor(places, dtype=torch.int64)
    there = theirs >= 0
    missing = tuple(kept.id(number) for number in (~there).nonzero()[:, 0].tolist())
    changed = [(t.label, t.token) for t in kept.targets] != [(t.label, t.token) for t in again.targets]
    activations = _largest(
        kept.activations[there] - again.activations[theirs[there]], kept.activations.abs().amax(0, True)
    ) if len(kept.activations) else 0.0  # fmt: skip
    n_targets = 0 if changed else len(kept.targets)
    # rows and columns of what both have: features, then targets; features, then errors and tokens
    rows_kept = torch.cat([there.nonzero()[:, 0], kept.n_features + torch.arange(n_targets)])
    rows_again = torch.cat([theirs[there], again.n_features + torch.arange(n_targets)])
    others = torch.arange(kept.n_sources - kept.n_features)
    columns_kept = torch.cat([there.nonzero()[:, 0], kept.n_features + others])
    columns_again = torch.cat([theirs[there], again.n_features + others])
    ours = kept.edges[rows_kept][:, columns_kept]
    difference = (ours - again.edges[rows_again][:, columns_again]) * (ours != 0)
    magnitudes = kept.edges[rows_kept].abs().sum(1) + kept.unselected_absolute[rows_kept]
    targets_kept, targets_again = (
        kept.preactivations[kept.n_features :],
        again.preactivations[again.n_features :],
    )
    return GraphDifference(
        missing=missing,
        targets_changed=changed,
        activations=activations,
        edges=_largest(difference, magnitudes[:, None]),
        values=0.0 if changed else _largest(targets_kept - targets_again, targets_kept.abs().amax(0, True)),
    )


def _largest(difference: torch.Tensor, scale: torch.Tensor) -> float:
    """The largest magnitude of a difference as a share of a scale; where the scale is 0, so is the share."""
    if not difference.numel():
        return 0.0
    shares = difference.abs() / scale.clamp(min=torch.finfo(torch.float32).tiny)
    return float(shares.max())
