"""How quick a graph's page is in a browser: opening, hovering, focusing, pruning, scrolling.

A random graph of a given size, whose nodes lie more at late tokens and low layers, as real ones do. Every
action is timed from the event to the second frame after it; at 60 frames a second that is at least 17 to 33
ms.

    python benchmarks/graph_page.py [--nodes 2000] [--links 50000] [--tokens 64] [--layers 26] [--json]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from mindscope.circuits import (
    AttributionGraph,
    AttributionTarget,
    PrunedGraph,
    accumulate_influence,
    build_graph_page,
    compute_influence,
)

ACTIONS = """async () => {
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];
  const marks = [...document.querySelectorAll(".node.feature")].filter((one) => one.style.display !== "none");
  const [slider, scroller] = ["pruning", "scroller"].map((id) => document.getElementById(id));
  const some = (i) => marks[(i * 7) % marks.length];
  const acts = {
    hover: (i) => some(i).dispatchEvent(new PointerEvent("pointerover", { bubbles: true })),
    focus: (i) => some(i).dispatchEvent(new MouseEvent("click", { bubbles: true })),
    scroll: (i) => (scroller.scrollLeft = 25 * i),
    prune: (i) => {
      slider.value = slider.max * (1 - 0.02 * i);
      slider.dispatchEvent(new Event("input"));
    },
  };
  const found = {};
  for (const [name, act] of Object.entries(acts)) {
    const times = [];
    for (let i = 1; i <= 20; i++) {
      const start = performance.now();
      act(i);
      await frames();
      times.push(performance.now() - start);
    }
    found[name] = median(times);
  }
  return found;
}"""


def random_graph(nodes: int, links: int, tokens: int, layers: int) -> tuple[AttributionGraph, PrunedGraph]:
    """A graph with so many nodes, and a pruning that keeps all of them and the links."""
    draw = torch.Generator().manual_seed(0)
    n_targets = 10
    n_features = nodes - tokens - n_targets
    many = 4 * n_features
    depth = (torch.empty(many).exponential_(4, generator=draw) * layers).long().clamp(max=layers - 1)
    late = (torch.empty(many).exponential_(5, generator=draw) * tokens).long().clamp(max=tokens - 1)
    latents = torch.randint(10_000, (many,), generator=draw)
    features = torch.stack([depth, tokens - 1 - late, latents], 1).unique(dim=0)
    features = features[torch.randperm(len(features), generator=draw)[:n_features].sort().values]
    rows, sources = n_features + n_targets, n_features + layers * tokens + tokens
    nothing = torch.zeros(rows)
    graph = AttributionGraph(
        ids=tuple(range(tokens)),
        tokens=tuple(f" word{i}" for i in range(tokens)),
        n_layers=layers,
        features=features,
        activations=torch.rand(n_features, generator=draw),
        targets=tuple(
            AttributionTarget(f'Output " word{i}" (p=0.{9 - i}00)', i, 0.1) for i in range(n_targets)
        ),
        edges=torch.zeros(rows, sources),
        preactivations=nothing,
        biases=nothing,
        unselected=nothing,
        unselected_absolute=nothing,
        fingerprint="none",
        replacement_digest="none",
    )
    shown = torch.ones(sources, dtype=torch.bool)
    shown[n_features : n_features + layers * tokens] = (
        False  # errors stay out, to have as many nodes as asked
    )
    allowed = (graph.layers[:sources] < graph.layers[graph.rows][:, None]) & shown
    allowed &= graph.positions[:sources] <= graph.positions[graph.rows][:, None]
    places = allowed.nonzero()
    chosen = places[torch.randperm(len(places), generator=draw)[:links]].unbind(1)
    graph.edges[chosen] = torch.randn(len(chosen[0]), generator=draw)
    found = compute_influence(graph)
    mask = torch.cat([shown, torch.ones(n_targets, dtype=torch.bool)])
    return graph, PrunedGraph(mask, graph.edges != 0, accumulate_influence(found), found, 1.0, 1.0)


def measure(browser_path: str, nodes: int, links: int, tokens: int, layers: int) -> dict[str, Any]:
    """Size in megabytes, times in milliseconds."""
    graph, pruned = random_graph(nodes, links, tokens, layers)
    start = time.perf_counter()
    page = build_graph_page(graph, pruned)
    made = 1000 * (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = page.write(Path(folder) / "page.html").as_uri()
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1600, "height": 1000})
        tab.goto(address)
        opened = tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        shown = tab.locator("#amount").inner_text()
        found = {"shown": shown, "megabytes": len(page) / 1e6, "made": made, "opened": opened}
        found |= tab.evaluate(ACTIONS)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, size in (("nodes", 2000), ("links", 50_000), ("tokens", 64), ("layers", 26)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    found = measure(options.browser, options.nodes, options.links, options.tokens, options.layers)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>10}  {value if isinstance(value, str) else f'{value:.1f}'}")


if __name__ == "__main__":
    main()
