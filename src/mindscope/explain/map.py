"""All features on one plane, and clusters of those that write alike."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from sklearn.cluster import HDBSCAN
from torch import Tensor
from torch.nn import functional

from mindscope.errors import DataError
from mindscope.features import FeatureBank
from mindscope.reports import ScatterPoints, scatter

Method = Literal["umap", "tsne", "pca"]


@dataclass(frozen=True)
class FeatureMap:
    """Features on a plane.

    Attributes:
        features: `[shown]`, which ones.
        places: `[shown, 2]`.
        clusters: `[shown]`, counted from 0 by size; -1 for those that belong to none.
        method: how the plane was found.
    """

    features: Int[Tensor, "shown"]
    places: Float[Tensor, "shown 2"]
    clusters: Int[Tensor, "shown"]
    method: Method

    @property
    def n_clusters(self) -> int:
        return int(self.clusters.max()) + 1 if len(self.clusters) else 0

    def members(self, cluster: int) -> list[int]:
        """The features of a cluster."""
        return self.features[self.clusters == cluster].tolist()

    def names(self, labels: Mapping[int, str]) -> list[str]:
        """A name for each cluster: the words that its members' labels share and others' do not."""
        words = {
            feature: set(re.findall(r"\w+", label.lower())) - {"says", "after"}
            for feature, label in labels.items()
        }
        everywhere = Counter(word for own in words.values() for word in own)
        named: list[str] = []
        for cluster in range(self.n_clusters):
            members = [feature for feature in self.members(cluster) if feature in words]
            held = Counter(word for feature in members for word in words[feature])
            score = {word: count * count / everywhere[word] for word, count in held.items()}
            best = sorted(score, key=lambda word: (-score[word], word))[:3]
            named.append(" ".join(best) or f"cluster {cluster}")
        return named

    def figure(self, labels: Mapping[int, str] | None = None, *, shown: int = 6) -> Figure:
        """The plane, with the largest clusters in colour and under their names."""
        names = self.names(labels or {})
        series: list[ScatterPoints] = []
        for cluster in range(min(shown, self.n_clusters)):
            own = self.places[self.clusters == cluster].numpy()
            series.append(ScatterPoints(names[cluster], own[:, 0], own[:, 1]))
        rest = self.places[(self.clusters < 0) | (self.clusters >= shown)].numpy()
        series.append(ScatterPoints("others", rest[:, 0], rest[:, 1]))
        return scatter(series, f"{self.method} 1", f"{self.method} 2", fit=False)


def feature_map(
    features: FeatureBank,
    shown: Int[Tensor, "shown"] | None = None,
    *,
    method: Method | None = None,
    least_cluster: int = 5,
    seed: int = 0,
) -> FeatureMap:
    """Lay features out by the cosines of what they write, and find clusters on the plane (HDBSCAN).

    Args:
        features: the features.
        shown: which of them, such as those that are not dead; all by default.
        method: `umap` needs the extra `map`; `tsne` and `pca` need nothing. By default umap where it is
            installed, else tsne.
        least_cluster: the fewest features of a cluster.
        seed: of the layout.

    Raises:
        DataError: umap is not installed, or there are fewer features than a layout needs.
    """
    chosen = torch.arange(features.n_features) if shown is None else shown.long()
    if len(chosen) < max(4, least_cluster):
        raise DataError(f"{len(chosen)} features make no map: take at least {max(4, least_cluster)}")
    written = torch.cat(list(features.decoder_rows(chosen.tolist()).values()), dim=1)
    directions = functional.normalize(written, dim=1).numpy()
    method = method or ("umap" if _has_umap() else "tsne")
    places = _layout(directions, method, seed)
    # Leaves of the tree: the whole cloud would be one cluster, as most features write nearly at right angles.
    settings: dict[str, Any] = {"cluster_selection_method": "leaf", "copy": True}
    clusters = HDBSCAN(min_cluster_size=least_cluster, **settings).fit_predict(places)
    sizes = Counter(int(cluster) for cluster in clusters if cluster >= 0)
    order = {cluster: rank for rank, (cluster, _) in enumerate(sizes.most_common())} | {-1: -1}
    clusters = torch.tensor([order[int(cluster)] for cluster in clusters])
    return FeatureMap(chosen, torch.from_numpy(np.asarray(places, np.float32)), clusters, method)


def _layout(directions: np.ndarray, method: Method, seed: int) -> np.ndarray:
    if method == "umap":
        if not _has_umap():
            raise DataError("a umap needs umap-learn: pip install 'mindscope[map]', or take tsne or pca")
        umap: Any = import_module("umap")
        # numba sets OpenMP's threads, which are PyTorch's too: later sums would be split otherwise.
        threads = torch.get_num_threads()
        try:
            return umap.UMAP(metric="cosine", random_state=seed, n_jobs=1).fit_transform(directions)
        finally:
            torch.set_num_threads(threads)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(directions) - 1) / 3)
        return TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed).fit_transform(
            directions
        )
    from sklearn.decomposition import PCA

    return PCA(2, random_state=seed).fit_transform(directions)


def _has_umap() -> bool:
    return find_spec("umap") is not None
