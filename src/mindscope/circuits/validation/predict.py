"""What a graph says would happen if features were changed: its edges, or the sum over all of its paths.

Ameisen et al. 2025, "Circuit Tracing", section on validating graphs by intervention. Per experiment, with B
the graph's edges over the pre-activation of their source and d what happens to each held feature:

1. A graph's edges are proportional to their sources' activations: a feature that becomes (1 + d) times what
   it was changes row t by d A[t, s].
2. Direct effects alone are these sums over the held features.
3. Otherwise walk up, layer by layer. What has reached a feature changes it in proportion to its
   pre-activation, and it passes the same proportion on.
4. Held features keep their d, whatever reaches them.
5. In the end every row's change is its edges times the proportions: the series (1 - B)^-1 over the features
   that are not held, summed exactly, because edges only come from lower layers.

Left out are errors, tokens, attention patterns, norms' scales, and active features that the graph leaves out:
they stay as they were.
"""

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

    Args:
        graph: not pruned, or the paths that were cut are missing.
        experiments: of each, by the index of a feature, d: -1 turns it off, 1 doubles it.
        direct: edges alone, without paths through other features.

    Raises:
        DataError: an index that is not a feature of the graph.
    """
    count = graph.n_features
    for held in experiments:
        if bad := [index for index in held if not 0 <= index < count]:
            raise DataError(f"node {bad[0]} is not a feature of the graph: it has features 0 to {count - 1}")
    # By how much of itself each feature changes: features x experiments.
    shares = torch.zeros(count, len(experiments))
    edges, values = graph.edges[:, :count], graph.preactivations[:count]
    # All held features of all experiments, side by side.
    experiment = torch.tensor([number for number, held in enumerate(experiments) for _ in held]).long()
    feature = torch.tensor([index for held in experiments for index in held]).long()
    amount = torch.tensor([d for held in experiments for d in held.values()]).float()
    layers = graph.features[:, 0]
    for layer in layers.unique().tolist():
        in_layer = (layers == layer).nonzero().flatten()
        if not direct:
            # A pre-activation of zero has no proportion: such a feature passes nothing on.
            answer = edges[in_layer] @ shares
            shares[in_layer] = torch.where(values[in_layer, None] == 0, 0.0, answer / values[in_layer, None])
        held_here = layers[feature] == layer
        shares[feature[held_here], experiment[held_here]] = amount[held_here]
    return (edges @ shares).T
