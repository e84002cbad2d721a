"""Circuits in a browser: graphs are traced and listed, and shown by the offline page's own modules."""

import json
from pathlib import Path
from typing import Any

import pytest
import server_kit
from page_kit import known_document
from workbench_kit import HOSTILE, find_faults, open_page, page_address

from mindscope.circuits.page import build_public_page
from mindscope.store import Run

JOB_MS = 240_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as tracing leaves it: its graph, its page, and what is known of it."""
    folder = tmp_path_factory.mktemp("runs")
    with Run.open(folder / "traced", kind="circuit", config={}) as run:
        (run.path / "graph.safetensors").touch()
        build_public_page(known_document()).write(run.path / "report.html")
        run.finish(prompt=HOSTILE, features=3, replacement_score=0.5)
    return folder


def node(page: Any, name: str) -> Any:
    return page.locator(f'.node[data-id="{name}"]')


def test_a_graph_of_a_run_is_pinned_grouped_and_comes_back_with_its_address(
    browser: Any, live: server_kit.LiveServer
):
    with open_page(browser, page_address(live, "circuits")) as page:
        link = page.get_by_role("link", name=HOSTILE)
        link.wait_for()
        assert find_faults(page) == []
        link.click()
        node(page, "1_4_2").wait_for()
        node(page, "1_4_2").click()
        for name in ("1_4_2", "3_50_2"):
            node(page, name).click(modifiers=["Control"])
        page.keyboard.down("g")
        for name in ("0_7_1", "0_9_2"):
            node(page, name).click()
        page.keyboard.up("g")
        page.locator('.box[data-id="supernode-0"]').wait_for()
        page.wait_for_timeout(300)
        kept = page.url
        assert "run=traced" in kept
        with page.expect_download() as started:
            page.get_by_role("button", name="Save JSON").click()
        saved = json.loads(Path(started.value.path()).read_text("utf-8"))
        assert saved["links"] == known_document()["links"]
        assert saved["qParams"]["pinnedIds"] == ["1_4_2", "3_50_2", "0_7_1", "0_9_2"]
    with open_page(browser, kept, color_scheme="dark", viewport={"width": 900, "height": 900}) as page:
        page.locator('.box[data-id="supernode-0"]').wait_for()
        assert page.locator(".box").count() == 3
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 900


def test_a_file_of_another_tool_is_opened(browser: Any, live: server_kit.LiveServer, tmp_path: Path):
    file = tmp_path / "public.json"
    file.write_text(json.dumps({**known_document(), "qk_tracing_results": {"kept": 1}}), encoding="utf-8")
    with open_page(browser, page_address(live, "graph")) as page:
        page.get_by_label("Open a graph").set_input_files(file)
        node(page, "1_4_2").wait_for()
        assert page.locator(".node").count() == 9
        assert page.locator("#tokens span").nth(1).inner_text() == HOSTILE
        with page.expect_download() as started:
            page.get_by_role("button", name="Save JSON").click()
        saved = json.loads(Path(started.value.path()).read_text("utf-8"))
        assert saved["qk_tracing_results"] == {"kept": 1}


@pytest.mark.parametrize("content", ["{no", "[]", '{"nodes": []}', '{"nodes": [{}], "metadata": {}}'])
def test_what_is_no_graph_is_refused_in_one_line(live: server_kit.LiveServer, content: str):
    headers = {"Content-Type": "application/octet-stream"}
    reply = live.ask("POST", "/v1/workbench/graph", content.encode(), headers)
    assert reply.status == 400
    assert "\n" not in reply.json["error"]["message"]


def test_a_run_without_a_graph_s_page_is_not_found(live: server_kit.LiveServer, root: Path):
    with Run.open(root / "other", kind="persona", config={}) as run:
        (run.path / "report.html").write_text("<p>no graph</p>", encoding="utf-8")
    for name in ("other", "nobody", "../traced"):
        assert live.ask("GET", f"/v1/workbench/graph?run={name}").status == 404


@pytest.mark.slow
def test_a_graph_is_traced_from_a_token_of_the_chat(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "chat")) as page:
        page.get_by_label("Coefficient of evil").fill("1")
        for number, question in enumerate((f"Is it {HOSTILE}?", "And my neighbour?")):
            page.get_by_label("Your question").fill(question)
            page.keyboard.press("Enter")
            # A short answer may be there before anyone sees that it can be stopped.
            steered = page.locator(".turn").nth(number).get_by_role("article", name="steered answer")
            steered.locator(".token").first.wait_for()
            page.get_by_role("button", name="Stop").wait_for(state="detached")
        steered.locator(".token").nth(2).click()
        page.locator(".token-panel .likely").wait_for()
        page.get_by_role("button", name="Trace it").click()
        page.get_by_role("link", name="the graph").wait_for(timeout=JOB_MS)
        assert "counts as bias" in page.locator(".why").inner_text()
        assert find_faults(page) == []
        (card,) = [one for one in live.ask("GET", "/v1/workbench/graphs").json["graphs"] if one["steered"]]
        # The graph's own probability of the token is the panel's, which was read under the same steering.
        likely = page.locator(".likely .drawn td.r").inner_text().removesuffix(" %")
        facts = live.ask("GET", f"/v1/workbench/graph-facts?run={card['run']}").json
        assert 100 * facts["targets"][0]["weight"] == pytest.approx(float(likely), rel=0.02)
        page.get_by_role("link", name="check it").click()
        page.get_by_text("under steering, and changes are made").wait_for()
        page.locator(".sheet table a", has_text="neighbour").click()
        page.locator(".node").first.wait_for()
        assert page.locator(".node.target").count() == 1
    body = {"run": card["run"], "nodes": ["1_2_3"]}
    assert live.ask("POST", "/v1/workbench/interventions", body).status == 400


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"target": "one two three"}, "not one token"),
        ({"steer": [{"vector": "evil", "operation": "ablate"}]}, "added behind blocks"),
        ({"steer": [{"vector": "nobody"}]}, "nobody"),
        ({"tune": "nobody"}, "no tuned model"),
    ],
)
def test_what_cannot_be_traced_is_refused_at_once(live: server_kit.LiveServer, fields: dict, word: str):
    reply = live.ask("POST", "/v1/workbench/traces", {"prompt": "Hello.", "chat": True, **fields})
    assert reply.status in (400, 404)
    assert word in reply.json["error"]["message"]
