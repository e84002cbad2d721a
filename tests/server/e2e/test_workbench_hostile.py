"""Hostile text in every free place of the tour, of jobs and runs, of why a token, and of graphs side by side.

Runs and jobs are real ones with such names. Elsewhere the server's answer is put in its place in the browser:
a page must show whatever a server tells as text.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import server_kit
from pydantic import BaseModel
from workbench_kit import HOSTILE, find_faults, open_page, page_address

from mindscope.jobs.circuit import GraphComparisonReport, GraphListing
from mindscope.server.workbench.desks.checks import GraphResults, StabilityReply
from mindscope.server.workbench.desks.graphs import GraphCard, GraphList
from mindscope.server.workbench.desks.runs import JobCard, JobList
from mindscope.server.workbench.desks.tour import ScreenedExample, SteeredExample, TourReply, TracedExample
from mindscope.server.workbench.routes import WorkbenchPlace
from mindscope.server.workbench.shelf import RunShelf
from mindscope.server.workbench.workers import JobStep
from mindscope.store import Run

TEXT = f"{HOSTILE}\x1b]0;taken\x07\x1b[31m\u202e&lt;b&gt;"
"""Markup, what a terminal obeys, what turns the direction of writing, and what was escaped once already."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with such a name that was started on the workbench and broke off."""
    folder = tmp_path_factory.mktemp("runs").resolve()
    run = Run.open(folder / TEXT, kind=TEXT, config={TEXT: TEXT}, command=(TEXT,))
    run.log(**{TEXT: 1.0})
    run.close()  # as the end of its process does, which says nothing
    RunShelf(folder).keep_work(run.path, TEXT, [JobStep(TEXT, {}, run.path)])
    return folder


@pytest.fixture(scope="module")
def live(make_service, root: Path) -> Iterator[server_kit.LiveServer]:
    with server_kit.serving(make_service(), workbench=WorkbenchPlace(root)) as live:
        yield live


def tell(page: Any, route: str, told: BaseModel) -> None:
    """Let the pages hear this where they ask for a route."""
    page.route(
        lambda url: url.partition("?")[0].endswith(f"/v1/workbench/{route}"),
        lambda asked: asked.fulfill(body=told.model_dump_json(), content_type="application/json"),
    )


def failed_job() -> JobCard:
    return JobCard(
        number=1, title=f"graph of {TEXT}", run=TEXT, state="failed", began=0.0, seconds=1.0, done=1, total=2,
        label=TEXT, lines=[TEXT, TEXT], error=TEXT,
    )  # fmt: skip


def test_a_run_and_the_job_that_takes_it_up(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "runs")) as page:
        entry = page.locator(".entry")
        entry.wait_for()
        assert entry.locator(".name").text_content() == TEXT
        assert TEXT in entry.locator(".quiet").text_content()
        entry.click()
        facts = page.locator(".facts").first
        facts.wait_for()
        for part in ("dt", "dd"):
            assert facts.locator(part).first.text_content() == TEXT
        assert page.locator(".command").text_content() == f"mindscope {TEXT}"
        assert page.locator("select option").text_content() == TEXT
        page.locator("svg.plot").wait_for()
        page.get_by_role("button", name="Go on with it").click()
        job = page.locator(".job")
        job.locator(".state.failed").wait_for(timeout=60_000)
        assert job.locator("h3").text_content() == TEXT
        assert HOSTILE in job.get_by_role("alert").text_content()
        assert find_faults(page) == []


def test_the_tour(browser: Any, live: server_kit.LiveServer):
    told = TourReply(
        offered=True,
        can_make=True,
        steered=SteeredExample(vector=TEXT, coefficient=1.0, question=TEXT),
        screened=ScreenedExample(
            run=TEXT, folder=TEXT, trait=TEXT, rows=2, planted=1, on_top=1, beyond=0
        ),
        traced=TracedExample(
            run=TEXT, prompt=TEXT, features=3, token=TEXT, before=0.5, after=0.1, r=None
        ),
        job=failed_job(),
    )  # fmt: skip
    with open_page(browser, page_address(live, "runs")) as page:
        tell(page, "tour", told)
        for step, page_name in ((1, "chat"), (2, "data"), (3, "circuits")):
            page.goto(page_address(live, f"traits#tour={step}"))
            tour = page.get_by_role("complementary", name="Tour")
            tour.get_by_role("heading", name=f"{step} of 3").wait_for()
            assert TEXT in tour.get_by_role("alert").text_content()
            shown = tour.locator("p").first.text_content()
            assert (HOSTILE if step == 3 else TEXT) in shown  # a token is written with escapes
            tour.get_by_role("button", name="Show it").click()
            page.wait_for_url(f"**/workbench/{page_name}#*")
            if step == 1:
                page.locator(".turn .asked p").first.wait_for()
                assert page.locator(".turn .asked p").first.text_content() == TEXT


def test_why_a_token(browser: Any, live: server_kit.LiveServer):
    job = failed_job()
    with open_page(browser, page_address(live, "chat")) as page:
        tell(page, "traces", job)
        tell(page, "jobs", JobList(jobs=[job]))
        page.get_by_label("Your question").fill(TEXT)
        page.keyboard.press("Enter")
        page.locator(".token").nth(2).click()
        page.get_by_role("button", name="Trace it").click()
        page.locator(".why").get_by_role("alert").wait_for()
        assert TEXT in page.locator(".why").text_content()
        tell(page, "jobs", JobList(jobs=[job.model_copy(update={"state": "done"})]))
        for name in ("the graph", "check it"):
            link = page.get_by_role("link", name=name).get_attribute("href")
            assert parse_qs(re.split("[?#]", link)[1])["run"] == [TEXT]


def test_two_graphs_side_by_side(browser: Any, live: server_kit.LiveServer):
    first, second = f"first {TEXT}", f"second {TEXT}"
    known: dict[str, Any] = dict.fromkeys(GraphCard.model_fields)
    known |= {"status": TEXT, "prompt": TEXT, "model": TEXT, "steered": False, "tune": TEXT}
    cards = [GraphCard.model_validate(known | {"run": name}) for name in (first, second)]
    node = dict.fromkeys(("node", "kind", "token", "text"), TEXT)
    node |= {"layer": 0, "activation": 1.0, "influence": 0.5}
    counts = dict.fromkeys(("tokens", "features", "active_features", "shown_nodes", "shown_edges"), 3)
    scores = {name: 0.5 for name in GraphListing.model_fields if name.endswith("_score")}
    listing = GraphListing.model_validate(
        {"model": TEXT, "prompt": TEXT, **counts, **scores,
         "targets": [{"target": TEXT, "label": TEXT, "weight": 0.5, "value": 1.0}], "nodes": [node],
         "supernodes": [{"label": TEXT, "score": 0.5, "members": [TEXT, "0_1_2"]}]}
    )  # fmt: skip
    edge = {"source": TEXT, "target": TEXT, "weight": 0.5}
    compared = GraphComparisonReport.model_validate(
        {"relation": "tuned from", "n_shared": 1, "n_only_first": 1, "n_only_second": 1, "overlap": 0.5,
         "changed": [{"node": TEXT, "in_the_second": TEXT, "influence": 0.5, "influence_in_the_second": 0.1,
                      "text": TEXT}],
         "only_first": [node], "only_second": [node], "edges": [{**edge, "weight_in_the_second": 0.1}]}
    )  # fmt: skip
    kept = StabilityReply.model_validate(
        {"graphs": [second], "edges": [{**edge, "kept": 1, "possible": 1}], "share": 1.0}
    )
    with open_page(browser, page_address(live, "runs")) as page:
        tell(page, "graphs", GraphList(graphs=cards, can_trace=True))
        tell(page, "graph-facts", listing)
        tell(page, "graph-comparison", compared)
        tell(page, "graph-stability", kept)
        tell(page, "graph-results", GraphResults(interventions=[], heads=[]))
        page.goto(page_address(live, "circuits"))
        page.locator("tbody tr").nth(1).wait_for()
        page.locator("tbody tr").first.get_by_role("button").first.click()
        page.locator("fieldset", has_text="Other graphs").locator("input").first.check()
        captions = page.locator("caption")
        captions.nth(4).wait_for()
        for caption in captions.all():
            table = caption.locator("..")
            assert TEXT in table.locator("tbody").text_content()
            assert table.locator("tbody *:not(tr, th, td)").count() == 0  # plain text in every cell
        assert any(second in (text or "") for text in captions.all_text_contents())
        assert TEXT in page.locator(".stability tbody").text_content()
        assert find_faults(page) == []
