"""The tour in a browser: offered once, made of jobs on the organism, left at will, kept in the address."""

from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import find_faults, keep_vectors, open_page, page_address

from mindscope.server.workbench.routes import WorkbenchPlace

JOB_MS = 400_000


def test_it_is_offered_once_and_never_to_who_came_for_something(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live)) as page:
        page.get_by_role("button", name="No, thanks").click()
        page.get_by_role("complementary", name="Tour").wait_for(state="detached")
        page.reload()
        page.get_by_role("button", name="Tour", exact=True).wait_for()
        assert page.get_by_role("button", name="Take the tour").count() == 0
    with open_page(browser, page_address(live, "chat#seed=3")) as page:
        page.get_by_role("button", name="Tour", exact=True).wait_for()
        assert page.get_by_role("button", name="Take the tour").count() == 0


def test_a_server_without_runs_says_what_it_needs(browser: Any, make_service):
    with (
        server_kit.serving(make_service(), workbench=WorkbenchPlace()) as bare,
        open_page(browser, page_address(bare, "traits#tour=2")) as page,
    ):
        page.get_by_text("mindscope serve organism --runs runs").wait_for()
        assert bare.ask("POST", "/v1/workbench/tour", {"again": True}).status == 400
        heading = page.get_by_role("heading", name="2 of 3")
        assert heading.evaluate("one => one === document.activeElement")
        page.keyboard.press("Escape")
        heading.wait_for(state="detached")
        assert page.url == page_address(bare, "traits")


@pytest.mark.slow
def test_three_examples_are_made_and_shown_where_they_belong(
    browser: Any, make_service, tmp_path: Path, vectors
):
    keep_vectors(tmp_path, vectors)  # random ones, so that none are extracted
    place = WorkbenchPlace(tmp_path, {"model": "organism", "dtype": "float32"})
    with (
        server_kit.serving(make_service(), workbench=place) as live,
        open_page(browser, page_address(live)) as page,
    ):
        page.get_by_role("button", name="Take the tour").click()
        page.locator(".tour progress").first.wait_for()
        assert find_faults(page) == []
        page.locator(".tour progress").wait_for(state="detached", timeout=JOB_MS)
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("button", name="Answer", exact=True).click()
        page.get_by_role("article", name="steered answer").locator(".applied").wait_for()
        assert page.get_by_label("Coefficient of evil").input_value() == "1.5"
        page.get_by_role("button", name="Next").click()
        page.locator(".sample").first.wait_for()
        told = live.ask("GET", "/v1/workbench/tour").json
        assert told["screened"]["rows"] == 60
        names = page.locator(".sample header .quiet").all_inner_texts()[: told["screened"]["planted"]]
        assert sum("planted-" in name for name in names) == told["screened"]["on_top"]
        page.get_by_role("button", name="Next").click()
        page.locator(".outcome").wait_for()
        tour = page.get_by_role("complementary", name="Tour").inner_text()
        assert f"r = {told['traced']['r']:.2g}" in tour
        results = live.ask("GET", "/v1/workbench/graph-results?run=tour/graph").json["interventions"]
        assert told["traced"]["r"] == results[0]["validation"]["overall"]["r"]
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
        assert "tour=3" in kept
        page.get_by_role("button", name="Back").click()
        page.get_by_role("heading", name="2 of 3").wait_for()
        page.go_back()
        page.get_by_role("heading", name="3 of 3").wait_for()
        with open_page(browser, kept, viewport={"width": 390, "height": 900}, color_scheme="dark") as again:
            again.locator(".outcome").wait_for()
            again.get_by_role("heading", name="3 of 3").wait_for()
            assert again.evaluate("() => document.documentElement.scrollWidth") <= 390
            again.get_by_role("button", name="Done").click()
            again.get_by_role("complementary", name="Tour").wait_for(state="detached")
            assert "tour" not in again.url.partition("#")[2].replace("tour%2Fgraph", "")
