"""Supernodes without a person: features that mean the same and do the same, side by side in the text.

1. Compare features pairwise by what is known of them, each from 0 to 1: the part they play in the graph
   (inputs and outputs alike, or one feeding the other), what they make the model say, and their labels.
2. A pair's likeness is the mean of what is known, and 0 for features that lie too far apart in the text.
3. Merge groups bottom-up, the closest two first, while the mean likeness between their members is high enough
   (average linkage).
4. Score each group by the silhouette of its members (Rousseeuw 1987), and name it by the commonest label, or
   by its tokens and layers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_samples
from torch import Tensor
from torch.nn.functional import normalize

from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.influence import output_weights, propagate_influence
from mindscope.circuits.graph.prune import PrunedGraph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.errors import DataError


def find_supernodes(
    graph: AttributionGraph,
    pruned: PrunedGraph,
    *,
    labels: Mapping[str, str] | None = None,
    effects: Float[Tensor, "kept width"] | None = None,
    distance: int = 1,
    alike: float = 0.5,
) -> tuple[Supernode, ...]:
    """Group the features of a pruned graph; those that belong nowhere are left out.

    Two features are alike, from 0 to 1, by the mean of what is known: the same part in the graph
    (:func:`compare_roles`); the same effect on the logits (cosine of `effects`); and 1 where they have the
    same label. That labels differ says nothing, as words can. Features more than `distance` tokens apart are
    not alike at all. Groups are merged while their members' mean likeness is at least `alike`.

    A group's score is the mean silhouette of its members (Rousseeuw 1987) over the distance 1 - likeness:
    near 1 where they are alike and the next group is not, 0 where another group would do as well, negative
    where it would do better.

    Args:
        graph: the whole graph.
        pruned: what of it is grouped.
        labels: of features, by node name.
        effects: `[kept, width]`, what each feature that stays makes the model say, in the order of nodes
            (:func:`~mindscope.circuits.compute_feature_effects`).
        distance: in tokens.
        alike: from 0 to 1; higher makes smaller groups.

    Raises:
        DataError: `effects` has not a row for every feature that stays, or `alike` is not between 0 and 1.
    """
    graph = pruned.graph(graph)
    if effects is not None and len(effects) != graph.n_features:
        raise DataError(f"effects has {len(effects)} rows for {graph.n_features} features that stay")
    if not 0 < alike <= 1:
        raise DataError(f"alike must be above 0 and at most 1, not {alike}")
    if graph.n_features < 2:
        return ()
    # features x features; `known` counts what a pair is compared by
    likeness, known = compare_roles(graph), torch.ones(())
    if effects is not None:
        unit = normalize(effects.float(), dim=1)
        likeness, known = likeness + (unit @ unit.T).clamp(0, 1), known + 1
    if labels:
        texts = [labels.get(graph.id(node), "") for node in range(graph.n_features)]
        # A shared label is evidence for a pair; different labels are none against it: they do not count.
        same = torch.tensor([[float(a == b != "") for b in texts] for a in texts])
        likeness, known = likeness + same, known + same
    positions = graph.features[:, 1]
    near = (positions[:, None] - positions).abs() <= distance
    likeness = likeness / known * near
    # From here on distances, in float64 as scipy has them.
    apart = (1 - likeness).clamp(0, 1).fill_diagonal_(0).double().numpy()
    merges = linkage(squareform(apart, checks=False), method="average")
    clusters = fcluster(merges, t=1 - alike, criterion="distance")
    fits = _silhouettes(apart, clusters)
    groups: list[Supernode] = []
    for number in np.unique(clusters):
        members = np.flatnonzero(clusters == number).tolist()
        if len(members) > 1:
            label, score = _name_group(graph, members, labels or {}), round(float(fits[members].mean()), 4)
            groups.append(Supernode(label=label, members=tuple(map(graph.id, members)), score=score))
    groups.sort(key=lambda group: -(group.score or 0.0))
    return tuple(_number_namesakes(groups))


def compare_roles(graph: AttributionGraph) -> Float[Tensor, "features features"]:
    """How alike the parts are that two features of a pruned graph play, from 0 to 1.

    The larger of two things: the mean of the cosine of their inputs' signed shares and of the cosine of what
    their outputs pass to the targets; and their mutual influence, the share of one's inputs that comes from
    the other, directly or through other features.
    """
    n = graph.n_features
    sums = graph.magnitudes.clamp(min=1e-10)
    start = output_weights(graph)
    through = propagate_influence(graph.edges, graph.rows, graph.layers[graph.rows], start, sums)
    # rows x sources, signed: a row is what goes into a feature, a column what it gives, times what gets
    # through
    shares = graph.edges / sums[:, None]
    inputs = normalize(shares[:n], dim=1)
    outputs = normalize((shares[:, :n] * through[graph.rows][:, None]).T, dim=1)
    alike = ((inputs @ inputs.T).clamp(0, 1) + (outputs @ outputs.T).clamp(0, 1)) / 2
    # Features only read lower layers, so that Â is strictly triangular and (1 - Â)^-1 sums all paths.
    eye = torch.eye(n, dtype=torch.float64)
    between = eye - shares[:n, :n].abs().double()
    mutual = torch.linalg.solve_triangular(between, eye, upper=False, unitriangular=True) - eye
    return torch.maximum(alike, torch.maximum(mutual, mutual.T).float().clamp(0, 1))


def _silhouettes(apart: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Each feature's silhouette; where there is a single group, against a stranger that is nothing alike."""
    n_clusters = len(np.unique(clusters))
    if 1 < n_clusters < len(clusters):
        return np.asarray(silhouette_samples(apart, clusters, metric="precomputed"))
    return 1 - apart.sum(1) / (len(apart) - 1)


def _number_namesakes(groups: Sequence[Supernode]) -> Iterator[Supernode]:
    """The same groups, those of one name numbered."""
    count = Counter[str]()
    for group in groups:
        count[group.label] += 1
        number = count[group.label]
        yield group if number == 1 else group.model_copy(update={"label": f"{group.label} {number}"})


def _name_group(graph: AttributionGraph, nodes: Sequence[int], labels: Mapping[str, str]) -> str:
    """The commonest label, or the tokens and layers it lies at."""
    named = Counter(label for node in nodes if (label := labels.get(graph.id(node))))
    if named:
        return named.most_common(1)[0][0]
    positions = sorted({int(graph.positions[node]) for node in nodes})
    layers = sorted({int(graph.layers[node]) for node in nodes})
    text = "".join(graph.tokens[position] for position in positions).strip() or "?"
    return f"{text} (layers {layers[0]}-{layers[-1]})" if len(layers) > 1 else f"{text} (layer {layers[0]})"
