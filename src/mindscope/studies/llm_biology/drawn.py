"""The graph of one prompt of a family: traced, checked, and written where the book keeps it."""

from collections.abc import Mapping
from dataclasses import asdict

from mindscope.circuits import (
    AttributionGraph,
    Supernode,
    TargetSpec,
    TraceConfig,
    build_graph_page,
    prune_graph,
    score_graph,
    trace,
    validate_graph,
    with_validation,
)
from mindscope.models import Row
from mindscope.studies.llm_biology.contrast import FeatureGroup
from mindscope.studies.llm_biology.documents import DrawnGraph, PredictionCheck
from mindscope.studies.llm_biology.workbench import CaseContext

MOST = 2000
"""Features in a graph; more are not seen, and take long to trace."""
CHECKED = 20
"""Of the most influential features, those that are turned off one by one to check the graph."""


def draw(
    bench: CaseContext,
    family: str,
    row: Row,
    groups: Mapping[str, FeatureGroup],
    *,
    targets: TargetSpec | None = None,
) -> DrawnGraph:
    """Trace a prompt, find the groups among its nodes, and say how well the graph holds.

    Args:
        bench: the model and what stands in for its MLPs.
        family: names the files: `cases/FAMILY/graph.safetensors` and `page.html`.
        row: the prompt.
        groups: a node is a member of the first that has its feature, wherever in the prompt it is.
        targets: what to explain; the most probable next tokens by default.
    """
    graph = trace(bench.model, bench.replacement, row, TraceConfig(max_features=MOST), targets=targets)
    supernodes = found_in(graph, groups)
    checks = {
        mode: validate_graph(bench.model, bench.replacement, graph, nodes=CHECKED, mode=mode, targets=targets)
        for mode in ("open", "frozen_norms")
    }
    graph = with_validation(graph, checks["open"])
    folder = bench.run.path / "cases" / family
    folder.mkdir(parents=True, exist_ok=True)
    graph.save(folder / "graph.safetensors")
    title = bench.model.decode(row.ids)
    build_graph_page(graph, prune_graph(graph), supernodes, title=title).write(folder / "page.html")
    found = score_graph(graph)
    return DrawnGraph(
        prompt=title,
        graph=f"cases/{family}/graph.safetensors",
        page=f"cases/{family}/page.html",
        features=graph.n_features,
        completeness=found.completeness,
        replacement=found.replacement,
        supernodes=tuple((one.label, one.members) for one in supernodes),
        checks={mode: PredictionCheck(**asdict(check.overall)) for mode, check in checks.items()},
    )


def found_in(graph: AttributionGraph, groups: Mapping[str, FeatureGroup]) -> tuple[Supernode, ...]:
    """The nodes of a graph whose features are in a group; groups of which none is there are left out."""
    label_of = {
        (one.layer, one.latent): label
        for label, group in reversed(list(groups.items()))
        for one in group.members
    }
    members: dict[str, list[str]] = {label: [] for label in groups}
    for at, (layer, _, latent) in enumerate(graph.features.tolist()):
        if (label := label_of.get((layer, latent))) is not None:
            members[label].append(graph.id(at))
    return tuple(Supernode(label, tuple(names)) for label, names in members.items() if names)
