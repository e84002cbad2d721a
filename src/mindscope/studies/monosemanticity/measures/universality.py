"""Whether two transformers of other seeds have the same features.

Each feature of one is held against all features of the other by the correlation of their activations on the
same held-out tokens, and the nearest counts (the paper's activation similarity). The same is asked of
neurons, of dictionaries of transformers with shuffled weights, which share nothing but the text, and of
random directions; and of each feature with the neurons of its own model. With the other's tokens in another
order nothing is shared at all: what is left is what the highest of many correlations is by chance.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.studies.common import PieceProgress
from mindscope.studies.monosemanticity.config import NEURONS
from mindscope.studies.monosemanticity.measures.views import ReadingView, SeedViews, find_often
from mindscope.studies.monosemanticity.results import SeedUniversality, UniversalScores

DECILES = tuple(share / 10 for share in range(11))


@torch.no_grad()
def measure_universality(
    own: SeedViews, other: SeedViews, names: Sequence[str], progress: PieceProgress
) -> SeedUniversality:
    """The views of one transformer beside those of another, by the names of the views."""
    neurons = own.views[NEURONS]
    scores = []
    for done, name in enumerate(names):
        ours, theirs = (read_often(seed, seed.views[name]) for seed in (own, other))
        nearest = correlate_all(ours, theirs).amax(1)
        draw = torch.randperm(len(theirs), generator=torch.Generator().manual_seed(done))
        deciles = nearest.quantile(torch.tensor(DECILES)).tolist()
        scores.append(
            UniversalScores(
                view=name,
                nearest=round(float(nearest.median()), 5),
                permuted=round(float(correlate_all(ours, theirs[draw]).amax(1).median()), 5),
                neurons=round(float(_nearest_neuron(own, own.views[name], neurons, ours).median()), 5),
                deciles=tuple(round(decile, 5) for decile in deciles),
            )
        )
        progress(done + 1, len(names))
    return SeedUniversality(views=tuple(scores))


def read_often(seed: SeedViews, view: ReadingView) -> Float[Tensor, "tokens features"]:
    """Features that are active often, on the rows to test on."""
    test = view.read(seed.test)
    return test[..., find_often(view.read(seed.read), test)].flatten(0, 1)


def correlate_all(x: Float[Tensor, "tokens a"], y: Float[Tensor, "tokens b"]) -> Float[Tensor, "a b"]:
    """Pearson's correlation of every column with every other; 0 where one does not vary."""
    x, y = (side - side.mean(0) for side in (x, y))
    x, y = (side / side.norm(dim=0).clamp(min=1e-12) for side in (x, y))
    return x.T @ y


def _nearest_neuron(
    own: SeedViews, view: ReadingView, neurons: ReadingView, ours: Float[Tensor, "tokens features"]
) -> Float[Tensor, "features"]:
    """Of the model that the view is of; a neuron is not its own nearest."""
    basis = ReadingView(NEURONS, view.model, neurons.encode, neurons.directions, neurons.bias)
    theirs = read_often(own, basis)
    correlations = correlate_all(ours, theirs)
    if view is neurons:
        correlations.fill_diagonal_(-1)
    return correlations.amax(1)
