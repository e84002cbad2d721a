"""The pages of gates, comparisons and trainings in a browser, on documents with hostile text in them."""

from pathlib import Path
from typing import Any

import pytest
import server_kit
from verdict_kit import keep_verdicts
from workbench_kit import HOSTILE, find_faults, keep_vectors, open_page, page_address

from mindscope.models import Model
from mindscope.personas import PersonaVectors


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory, organism: Model, vectors: dict[str, PersonaVectors]
) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_verdicts(folder, organism.fingerprint)
    keep_vectors(folder, vectors)
    return folder


def test_a_verdict_has_its_reasons_intervals_and_remedies(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "gate")) as page:
        page.get_by_role("button", name="judged").click()
        page.get_by_role("heading", name="The tuned model fails").wait_for()
        reasons = page.locator(".reasons").first
        assert "behaviour/evil" in reasons.inner_text()
        assert "94 (92 to 96), at most 10" in reasons.inner_text()
        assert "1 fail, 0 lack evidence" in page.locator(".verdict").first.inner_text()
        page.get_by_text("Take drop").wait_for()
        bars = page.locator(".interval .bar")
        assert bars.count() >= 4
        # What is beyond the bar is drawn beyond it.
        failing = page.locator("tr", has_text="behaviour/evil stays low").locator(".interval").first
        assert float(failing.locator("circle").get_attribute("cx")) > float(
            failing.locator(".bar").get_attribute("x1")
        )
        assert HOSTILE in page.locator(".sheet").inner_text()
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept, color_scheme="dark") as page:
        page.get_by_role("heading", name="The tuned model fails").wait_for()
        assert find_faults(page) == []


def test_claims_have_their_tests_beside_the_null(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "gate")) as page:
        page.get_by_role("button", name="compared").click()
        page.get_by_text("1 of 2 claims passed every test").wait_for()
        assert "Of 1 claims about harmless tunes 0 passed" in page.locator(".sheet").inner_text()
        assert "failed: raised on base" in page.locator(".claim").nth(1).inner_text()
        page.locator(".claim").nth(0).get_by_role("button").click()
        tests = page.locator(".claim").nth(0).locator("tbody tr")
        assert tests.count() == 2
        assert "4 (1 to 7)" in tests.first.inner_text()
        page.get_by_text("Training samples along it").click()
        assert HOSTILE in page.locator(".sample").first.inner_text()
        assert "no dictionary of the base was given" in page.locator(".sheet").inner_text()
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        assert "claim=lens-1" in page.url
        kept = page.url
    with open_page(browser, kept) as page:
        page.locator(".claim tbody tr").first.wait_for()


def test_a_shift_is_followed_along_its_checkpoints(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "training")) as page:
        page.get_by_role("button", name="moved").click()
        page.locator("svg.plot").wait_for()
        rows = page.locator(".sheet tbody tr")
        assert rows.count() == 6
        page.get_by_label("At layer", exact=False).and_(page.locator("select")).select_option("2")
        assert "18 (17.5 to 18.5)" in rows.nth(4).inner_text()
        page.get_by_label("At layer", exact=False).and_(page.locator("select")).select_option("1")
        assert "9 (8.5 to 9.5)" in rows.nth(4).inner_text()
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept) as page:
        assert page.get_by_label("At layer", exact=False).and_(page.locator("select")).input_value() == "1"


def test_a_tune_shows_its_loss_and_remedies_stand_head_to_head(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "training")) as page:
        page.get_by_role("button", name="tuned").click()
        page.locator("svg.plot").wait_for()
        page.get_by_role("button", name="Measure the shift", disabled=False).wait_for()
        assert find_faults(page) == []
        page.get_by_role("button", name="judged").click()
        page.get_by_role("heading", name="Remedies head to head").nth(1).wait_for()
        assert "60 (58 to 62)" in page.locator(".sheet").inner_text()
        assert HOSTILE in page.locator(".sheet").inner_text()


@pytest.mark.parametrize("width", [900, 390])
@pytest.mark.parametrize(
    "page_and_state",
    [
        "gate#run=judged",
        "gate#run=compared&kind=diff&claim=lens-1",
        "training#run=moved&kind=shift",
        "training#run=tuned",
    ],
)
def test_nothing_stands_out_of_the_window(
    browser: Any, live: server_kit.LiveServer, page_and_state: str, width: int
):
    with open_page(
        browser, page_address(live, page_and_state), viewport={"width": width, "height": 900}
    ) as page:
        page.locator(".sheet h2").first.wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
