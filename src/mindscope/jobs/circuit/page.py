"""The page of a run: its graph, with what each shown feature makes the model say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mindscope.jobs.circuit.inputs import REPORT

if TYPE_CHECKING:
    from mindscope.circuits import AttributionGraph, PrunedGraph, ReplacementModel
    from mindscope.jobs.job import Reporter
    from mindscope.models import Model


def write_page(
    run: Path,
    graph: AttributionGraph,
    pruned: PrunedGraph,
    model: Model,
    replacement: ReplacementModel,
    reporter: Reporter,
) -> Path:
    """Write the page into the run's folder, and say where it is; of too many edges it shows the strongest."""
    from mindscope.circuits import build_graph_page, compute_feature_effects, describe_logits, prune_for_page

    fitting = prune_for_page(graph, pruned)
    if fitting is not pruned:
        reporter.say(
            f"the page shows edges with {fitting.edge:.0%} of their scores: with {pruned.edge:.0%} there are "
            "more than it opens; --nodes 0.6 shows fewer nodes with more of their edges"
        )
    pruned = fitting
    shown = graph.features[pruned.node_mask[: graph.n_features]]
    details = describe_logits(model, shown, compute_feature_effects(model, replacement, shown))
    return build_graph_page(graph, pruned, details=details).write(run / REPORT)
