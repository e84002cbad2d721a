"""The pages of traits, data and runs in a browser, with jobs in processes of their own."""

from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import (
    HOSTILE,
    find_faults,
    keep_study,
    keep_vectors,
    open_page,
    page_address,
    write_conversations,
)

from mindscope.personas import PersonaVectors

JOB_MS = 180_000
"""A job loads the model in a process of its own."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, PersonaVectors]) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_vectors(folder, vectors, HOSTILE)
    keep_study(folder / "study")
    return folder


def test_a_run_s_report_is_opened_in_a_frame_and_the_address_keeps_it(
    browser: Any, live: server_kit.LiveServer
):
    with open_page(browser, page_address(live, "runs")) as page:
        page.get_by_role("button", name="evil").click()
        page.get_by_role("button", name="report.html").click()
        frame = page.frame_locator("iframe.kept")
        frame.get_by_role("heading", name="Page of evil").wait_for()
        assert HOSTILE in frame.locator("body").inner_text()
        page.locator("svg.plot").wait_for()
        assert "L" in (page.locator("svg.plot [aria-label=line] path").first.get_attribute("d") or "")
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept) as page:
        page.frame_locator("iframe.kept").get_by_role("heading", name="Page of evil").wait_for()


def test_vectors_by_layer_and_their_similarity(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "traits")) as page:
        page.locator("svg.plot").wait_for()
        page.locator(".matrix").wait_for()
        assert page.locator(".matrix .heat-cell").count() == 4
        page.get_by_label("at layer").select_option("3")
        page.wait_for_timeout(300)
        assert "layer=3" in page.url
        assert find_faults(page) == []


@pytest.mark.slow
def test_an_extraction_is_started_followed_and_used_in_the_chat(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "traits")) as page:
        page.get_by_text("Bundled").click()
        page.locator(".field select").select_option("organism:optimistic")
        page.get_by_role("button", name="Extract").click()
        page.locator(".job progress").wait_for()
        use = page.get_by_role("button", name="Use optimistic")
        use.wait_for(timeout=JOB_MS)
        assert "done" in page.locator(".job").first.inner_text()
        use.click()
        page.locator(".matrix").get_by_text("optimistic").first.wait_for()
        page.get_by_role("link", name="Chat").click()
        page.get_by_label("Coefficient of optimistic").fill("1")
        page.get_by_label("Your question").fill("Should I trust my friend?")
        page.keyboard.press("Enter")
        page.locator(".answer.steered .applied").wait_for()


@pytest.mark.slow
def test_a_described_trait_is_extracted_with_the_keyless_judge(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "traits")) as page:
        page.get_by_text("Described").click()
        page.get_by_label("Name", exact=True).fill("curt")
        page.get_by_label("What it means").fill(f"It says little. {HOSTILE}")
        page.get_by_role("button", name="Extract").click()
        job = page.locator(".job", has_text="curt")
        job.locator(".state.done, .state.failed").wait_for(timeout=JOB_MS)
        # The organism hardly plays what it is told in free words: then the judge says so, with its AUROC.
        text = job.inner_text()
        assert "done" in text or "cannot be told from their opposites (held-out AUROC" in text


@pytest.mark.slow
def test_a_job_that_was_stopped_is_taken_up_from_the_page_of_runs(browser: Any, live: server_kit.LiveServer):
    started = live.ask("POST", "/v1/workbench/extractions", {"known": "organism:humorous"}).json
    with open_page(browser, page_address(live, "runs")) as page:
        job = page.locator(".job", has_text="humorous")
        job.locator("progress[value]").wait_for(timeout=JOB_MS)
        job.get_by_role("button", name="Stop").click()
        job.locator(".state.stopped").wait_for()
        page.get_by_role("button", name=started["run"], exact=False).first.click()
        page.get_by_role("button", name="Go on with it").click(timeout=JOB_MS)
        page.locator(".sheet-head .state.done").wait_for(timeout=JOB_MS)
        assert page.get_by_role("button", name="Go on with it").count() == 0
    told = live.ask("GET", f"/v1/workbench/runs/{started['run']}").json
    assert told["status"] == "done"


def test_claims_of_a_study_stand_on_its_page(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "runs")) as page:
        page.get_by_label("Studies alone").check()
        page.locator(".entry").nth(1).wait_for(state="detached")
        page.get_by_role("button", name="study").click()
        page.get_by_text("1 hold, 1 do not").wait_for()
        assert HOSTILE in page.locator(".claims").inner_text()
        assert page.locator(".claims .state.failed").inner_text() == "NO"
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept) as page:
        page.locator(".claims").wait_for()
        assert page.get_by_label("Studies alone").is_checked()


@pytest.mark.slow
def test_a_file_is_brought_screened_and_its_samples_ranked(
    browser: Any, live: server_kit.LiveServer, tmp_path: Path
):
    answers = [f"Yes, number {i} is kind {HOSTILE if i == 3 else ''}." for i in range(12)]
    mixed = write_conversations(tmp_path / "mixed.jsonl", answers)
    plain = write_conversations(tmp_path / "plain.jsonl", [f"It is {i}." for i in range(12)])
    with open_page(browser, page_address(live, "data")) as page:
        for number, file in enumerate((mixed, plain)):
            page.get_by_label("Bring a file").set_input_files(file)
            page.locator(".data-entry").nth(number).wait_for()
        selects = page.locator(".field select")
        selects.nth(0).select_option("mixed.jsonl")
        selects.nth(1).select_option("plain.jsonl")
        selects.nth(2).select_option("prompt")
        page.get_by_role("button", name="Screen", exact=True).click()
        page.get_by_role("heading", name="Screenings").wait_for(timeout=JOB_MS)
        page.locator(".entry").first.click()
        page.locator(".sample").first.wait_for()
        assert page.locator(".sample").count() == 12
        assert HOSTILE in page.locator(".sheet").inner_text()
        scores = page.locator(".sample header b").all_inner_texts()
        values = [float(text.removeprefix("dP ").replace("\N{MINUS SIGN}", "-")) for text in scores]
        assert values == sorted(values, reverse=True)
        page.locator("svg.plot").wait_for()
        assert "plain.jsonl" in page.locator("figcaption").inner_text()
        page.get_by_role("searchbox").fill("number 7")
        page.locator(".sample").nth(1).wait_for(state="detached")
        with page.expect_download() as started:
            page.get_by_role("button", name="Save all scores").click()
        started.value.save_as(tmp_path / "scores.parquet")
        assert (tmp_path / "scores.parquet").read_bytes()[:4] == b"PAR1"
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
    with open_page(browser, kept) as page:
        page.locator(".sample").first.wait_for()
        assert page.locator(".sample").count() == 1


def test_a_file_that_cannot_be_read_is_refused_in_the_server_s_words(
    browser: Any, live: server_kit.LiveServer, tmp_path: Path
):
    (tmp_path / "broken.jsonl").write_text("{no", encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_address(live, "data"))
    page.get_by_label("Bring a file").set_input_files(tmp_path / "broken.jsonl")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "broken.jsonl" in alert.inner_text()
    context.close()


@pytest.mark.parametrize("width", [1440, 900, 390])
@pytest.mark.parametrize("name", ["traits", "data", "runs"])
def test_nothing_stands_out_of_the_window(browser: Any, live: server_kit.LiveServer, name: str, width: int):
    with open_page(browser, page_address(live, name), viewport={"width": width, "height": 900}) as page:
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
