"""Which features become nodes when there are too many: those with the most influence on the targets.

Ameisen et al. 2025 keep the features that matter most for the outputs; tracing a row for every active feature
to know which would cost what selection is to save. Influence through rows that are not traced is unknown and
counts as zero, so that it can only grow. Therefore:

1. Rank all active features by their influence through the rows traced so far, at first the targets' alone.
2. Trace those among the `max_features` best that have no row yet.
3. Rank again. Stop when every feature among the best has a row: then nothing that is left out has more
   influence than something that is in, through the rows that are known.

circuit-tracer does the same in steps of fixed size and never takes a choice back, so that its choice depends
on the size of the steps (`rank_every`).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.circuits.attribution.config import TraceConfig
from mindscope.circuits.attribution.traced_rows import TracedRows
from mindscope.circuits.index_spaces import FeatureIndex


def select_features(
    rows: TracedRows,
    weights: Float[Tensor, "targets"],
    config: TraceConfig,
    trace_features: Callable[[FeatureIndex], None],
) -> FeatureIndex:
    """Choose features, tracing what is needed to know which.

    Exactly (`config.rank_every` None), as above; the choice does not depend on how rows are put into blocks.
    With a number n, as circuit-tracer does: the n most influential that were not taken yet are taken and
    traced, then influence is ranked again, until there are enough.

    Args:
        rows: with the targets' rows.
        weights: of the targets.
        config: how many features to choose, and how.
        trace_features: traces features, and adds their rows to `rows`.

    Returns:
        The chosen features, ascending.
    """
    if rows.n_features <= config.max_features:
        every = torch.arange(rows.n_features, device=weights.device)
        trace_features(every)
        return every
    while True:
        ranking = rows.compute_influence(weights).argsort(descending=True, stable=True)
        if config.rank_every is None:
            # A feature can lose its place to one that gained through new rows; its row stays traced, unused.
            best = ranking[: config.max_features]
            new = best[~rows.traced[best]]
            if not len(new):
                return best.sort().values
        else:
            # What has a row is chosen for good: the next features are those with the most influence without
            # one.
            left = config.max_features - int(rows.traced.sum())
            if left <= 0:
                return rows.traced.nonzero().flatten()
            new = ranking[~rows.traced[ranking]][: min(config.rank_every, left)]
        trace_features(new)
