"""A graph's checks in a browser: supernodes, an intervention beside its prediction, heads, other graphs."""

from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import find_faults, open_page

from mindscope.circuits import compare_graphs
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.circuit import TraceSpec, open_graph, trace

JOB_MS = 240_000
PROMPTS = {"first": "Is my neighbour kind?", "second": "Is my neighbour old?"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two graphs of prompts that differ in a word."""
    folder = tmp_path_factory.mktemp("runs")
    for name, prompt in PROMPTS.items():
        spec = TraceSpec.model_validate({"model": "organism", "prompt": prompt, "chat": True})
        trace(spec, run=RunFolder(folder / name), reporter=SilentReporter())
    return folder


def get(live: server_kit.LiveServer, path: str) -> server_kit.Reply:
    return live.ask("GET", f"/v1/workbench/{path}")


def test_a_graph_is_kept_whole_by_itself_and_in_part_by_another(live: server_kit.LiveServer, root: Path):
    itself = get(live, "graph-stability?run=first&others=first").json
    assert itself["share"] == 1.0
    assert all(edge["kept"] == edge["possible"] == 1 for edge in itself["edges"])
    both = get(live, "graph-stability?run=first&others=first&others=second").json
    assert 0.5 < both["share"] < 1.0
    # Against the comparison of the two graphs, edge by edge.
    opened = [open_graph(root / name) for name in PROMPTS]
    first, second = (one.pruned.graph(one.graph) for one in opened)
    shared = {
        (first.id(one.source), first.id(one.target))
        for one in compare_graphs(first, second).edges
        if one.weights[0] * one.weights[1] > 0
    }
    for edge in both["edges"]:
        assert edge["kept"] == 1 + ((edge["source"], edge["target"]) in shared)


@pytest.mark.parametrize(
    "path",
    ["graph-facts?run=nobody", "graph-stability?run=first&others=../first", "graph-results?run=second/x",
     "graph-comparison?run=first&other=nobody"],
)  # fmt: skip
def test_what_is_no_graph_is_not_found(live: server_kit.LiveServer, path: str):
    assert get(live, path).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"run": "first", "nodes": []},
        {"run": "first", "nodes": ["E_1_2"]},
        {"run": "first", "nodes": ["1_2_3=4"]},
        {"run": "first", "nodes": ["1_2_3"], "factor": 1e9},
        {"run": "nobody", "nodes": ["1_2_3"]},
    ],
)
def test_what_cannot_be_changed_is_refused(live: server_kit.LiveServer, body: dict[str, Any]):
    assert live.ask("POST", "/v1/workbench/interventions", body).status in (400, 404)


@pytest.mark.slow
def test_a_feature_is_changed_and_held_against_what_the_graph_foretold(
    browser: Any, live: server_kit.LiveServer
):
    url = f"http://127.0.0.1:{live.port}/workbench/circuits"
    with open_page(browser, url) as page:
        page.get_by_role("button", name="Check first").click()
        page.get_by_role("heading", name="Supernodes of first").wait_for()
        page.get_by_label("second").check()
        page.locator(".stability tbody tr").first.wait_for()
        page.locator("caption", has_text="Shared nodes whose influence changed").wait_for()
        choice = page.locator(".feature-choice").first.locator("input").first
        choice.check()
        page.get_by_role("button", name="Change 1 feature").click()
        page.locator(".outcome").wait_for(timeout=JOB_MS)
        page.get_by_text("Foretold against actual").wait_for(timeout=JOB_MS)
        page.locator("svg.plot").wait_for()
        page.get_by_role("button", name="Which heads carry the edges?").click()
        page.locator("caption", has_text="Head loadings").wait_for(timeout=JOB_MS)
        page.get_by_placeholder("all edges").fill("1.0")
        page.get_by_role("button", name="Why did it look there?").click()
        page.locator("caption", has_text="QK: head 1.0").wait_for(timeout=JOB_MS)
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept, viewport={"width": 390, "height": 900}, color_scheme="dark") as page:
        page.locator(".outcome").wait_for()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    results = get(live, "graph-results?run=first").json
    (change,) = results["interventions"]
    assert change["report"]["changes"] == 1
    assert len(change["validation"]["predicted"]) == len(change["validation"]["actual"]) > 0
    assert len(results["heads"]) == 2
