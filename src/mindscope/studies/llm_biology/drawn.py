"""The graph of one prompt of a family: traced, checked, and written where the book keeps it."""

from collections.abc import Mapping

from mindscope.circuits import (
    AttributionGraph,
    Mode,
    Supernode,
    TargetSpec,
    TraceConfig,
    ValidationConfig,
    build_graph_page,
    prune_graph,
    score_graph,
    trace,
    validate_graph,
    with_validation,
)
from mindscope.models import Row
from mindscope.studies.llm_biology.contrast import ContrastGroup
from mindscope.studies.llm_biology.documents import DrawnGraph
from mindscope.studies.llm_biology.workbench import CaseContext

MOST = 2000
"""Features in a graph; more are not seen, and take long to trace."""
MODES: tuple[Mode, ...] = ("open", "frozen_norms")
"""What may change while a graph is checked: everything, and what a graph itself lets change."""
CHECKED = 20
"""Of the most influential features, those that are turned off one by one to check the graph."""


def draw(
    bench: CaseContext,
    family: str,
    row: Row,
    groups: Mapping[str, ContrastGroup],
    *,
    targets: TargetSpec | None = None,
) -> DrawnGraph:
    """Trace a prompt, find the groups among its nodes, and say how well the graph holds.

    Args:
        bench: the model and what stands in for its MLPs.
        family: names the files: `cases/FAMILY/graph.safetensors` and `page.html`.
        row: the prompt.
        groups: a node is a member of the first that has its feature, wherever in the prompt it is. Latents of
            streams are no nodes.
        targets: what to explain; the most probable next tokens by default.
    """
    graph = trace(bench.model, bench.replacement, row, TraceConfig(max_features=MOST), targets=targets)
    supernodes = find_groups(graph, groups) if bench.streams is None else ()
    checks = {
        mode: validate_graph(
            bench.model,
            bench.replacement,
            graph,
            ValidationConfig(mode=mode),
            nodes=CHECKED,
            targets=targets,
        )
        for mode in MODES
    }
    graph = with_validation(graph, checks["open"])
    folder = bench.run.path / "cases" / family
    folder.mkdir(parents=True, exist_ok=True)
    graph.save(folder / "graph.safetensors")
    title = bench.model.decode(row.ids)
    build_graph_page(graph, prune_graph(graph), supernodes, title=title).write(folder / "page.html")
    scores = score_graph(graph)
    return DrawnGraph(
        prompt=title,
        graph=f"cases/{family}/graph.safetensors",
        page=f"cases/{family}/page.html",
        features=graph.n_features,
        completeness=scores.completeness,
        replacement=scores.replacement,
        supernodes=tuple((group.label, group.members) for group in supernodes),
        checks={mode: check.overall for mode, check in checks.items()},
    )


def find_groups(graph: AttributionGraph, groups: Mapping[str, ContrastGroup]) -> tuple[Supernode, ...]:
    """The nodes of a graph whose features are in a group; groups without a node in it are left out."""
    label_of = {
        (feature.layer, feature.latent): label
        for label, group in reversed(list(groups.items()))
        for feature in group.members
    }
    members: dict[str, list[str]] = {label: [] for label in groups}
    for index, (layer, _, latent) in enumerate(graph.features.tolist()):
        if (label := label_of.get((layer, latent))) is not None:
            members[label].append(graph.id(index))
    return tuple(Supernode(label=label, members=tuple(names)) for label, names in members.items() if names)
