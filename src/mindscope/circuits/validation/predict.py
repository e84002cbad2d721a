"""What a graph says would happen if features were changed."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.errors import DataError


def predict_changes(
    graph: AttributionGraph, experiments: Sequence[Mapping[int, float]], *, direct: bool = False
) -> Float[Tensor, "experiments rows"]:
    """By how much each row's pre-activation changes when features are held at other activations.

    A graph's edges are proportional to their sources' activations, so a feature that becomes (1 + d) times
    what it was changes row t by d A[t, s]. The rows that are features answer in proportion, and pass it on:
    the sum over all paths, (1 - B)^-1 with B[t, s] = A[t, s] / z[s], restricted to the features that are not
    held, which do not answer whatever reaches them. Errors, tokens, frozen patterns and active features that
    the graph left out stay as they were. Edges only come from lower layers, so one walk upwards sums all.

    Args:
        graph: not pruned, or the paths that were cut are missing.
        experiments: of each, by the index of a feature, d: -1 turns it off, 1 doubles it.
        direct: edges alone, without paths through other features.

    Raises:
        DataError: an index that is no feature of the graph.
    """
    count = graph.n_features
    for held in experiments:
        if bad := [at for at in held if not 0 <= at < count]:
            raise DataError(f"node {bad[0]} is no feature of the graph, which has features 0 to {count - 1}")
    shares = torch.zeros(count, len(experiments))
    edges, values = graph.edges[:, :count], graph.preactivations[:count]
    number = torch.tensor([e for e, held in enumerate(experiments) for _ in held]).long()
    feature = torch.tensor([at for held in experiments for at in held]).long()
    amount = torch.tensor([d for held in experiments for d in held.values()]).float()
    layers = graph.features[:, 0]
    for layer in layers.unique().tolist():
        here = (layers == layer).nonzero().flatten()
        if not direct:
            answer = edges[here] @ shares
            shares[here] = torch.where(values[here, None] == 0, 0.0, answer / values[here, None])
        mine = layers[feature] == layer
        shares[feature[mine], number[mine]] = amount[mine]
    return (edges @ shares).T
