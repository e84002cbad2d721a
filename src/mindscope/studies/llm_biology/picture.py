"""A graph of groups as a picture: tokens below, groups where they lie in text and layers, outputs on top."""

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from mindscope.circuits import AttributionGraph, Supernode, build_supernode_graph, compute_influence
from mindscope.reports import GRID, INK, MUTED, RC, SERIES

TOKENS, LEAST = 8, 0.01
"""How many tokens are shown, and the least share of a row that is drawn as an arrow."""
APART = 2
"""Labels nearer than this many places, at one height, would cover each other."""


def picture(graph: AttributionGraph, supernodes: tuple[Supernode, ...]) -> Figure:
    """Draw the groups, the tokens with the most influence, and the most probable output.

    Arrows are the direct edges summed between groups: blue adds, red takes away, and the width is the share
    of all that comes in.
    """
    start = graph.n_features + graph.n_errors
    count = min(TOKENS, len(graph.ids))
    tokens = (
        (start + compute_influence(graph)[start : start + len(graph.ids)].topk(count).indices).sort().values
    )
    target = graph.n_sources
    whole = build_supernode_graph(graph, supernodes, [*tokens.tolist(), target])
    places, labels = [], []
    for label, members in zip(whole.labels, whole.members, strict=True):
        indices = torch.tensor(members)
        node = members[0]
        if node >= target:
            places.append((len(graph.ids) - 1.0, float(graph.n_layers)))
            labels.append(graph.targets[node - target].label.removeprefix("Output "))
        elif node >= start:
            places.append((float(node - start), -1.0))
            labels.append(graph.tokens[node - start].strip() or "␣")
        else:
            places.append(
                (float(graph.positions[indices].float().mean()), float(graph.layers[indices].float().mean()))
            )
            labels.append(f"{label} ({len(members)})")
    order = {place: rank for rank, place in enumerate(sorted({x for x, _ in places}))}
    spots: list[tuple[float, float]] = []
    for x, y in places:
        step = 0.5 if y >= 0 else -0.5
        while any(abs(order[x] - other) < APART and abs(y - height) < 0.5 for other, height in spots):
            y += step
        spots.append((float(order[x]), y))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(6.8, 3.8))
        axes = figure.add_subplot()
        for to, row in enumerate(whole.shares.tolist()):
            for source, share in enumerate(row):
                if share < LEAST:
                    continue
                colour = SERIES[0] if float(whole.edges[to, source]) > 0 else SERIES[1]
                axes.annotate(
                    "",
                    spots[to],
                    spots[source],
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": colour,
                        "lw": 0.6 + 5 * share,
                        "alpha": 0.75,
                        "shrinkA": 9,
                        "shrinkB": 11,
                    },
                )
        for (x, y), label in zip(spots, labels, strict=True):
            box = {"boxstyle": "round,pad=0.3", "facecolor": GRID, "edgecolor": MUTED, "linewidth": 0.8}
            axes.text(x, y, label, ha="center", va="center", fontsize=9, color=INK, bbox=box)
        axes.set_xlim(-0.8, len(order) + 0.2)
        axes.set_ylim(-2.0, graph.n_layers + 0.6)
        axes.set_yticks([-1, *range(graph.n_layers), graph.n_layers])
        axes.set_yticklabels(["tokens", *map(str, range(graph.n_layers)), "output"])
        axes.set_ylabel("layer")
        axes.set_xticks([])
        axes.grid(visible=False)
    return figure
