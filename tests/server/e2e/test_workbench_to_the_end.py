"""Training, two models' graphs, a gate and a comparison, started from their pages and waited for."""

from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import find_faults, open_browser, open_page

from mindscope import organism as world
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.persona import ExtractSpec, extract
from mindscope.personas import write_answered

pytestmark = pytest.mark.long
JOB_MS = 900_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trait's vectors, few conversations in its voice, and ordinary ones."""
    folder = tmp_path_factory.mktemp("runs")
    spec = ExtractSpec.model_validate({"model": "organism", "trait": "organism:evil", "quick": True})
    extract(spec, run=RunFolder(folder / "evil"), reporter=SilentReporter())
    files = {"evil": world.training_set("evil", "II", 16), "ordinary": list(world.ordinary_chats(32))}
    for name, rows in files.items():
        pairs = [(row.messages[0]["content"], row.messages[1]["content"]) for row in rows]
        write_answered(folder / "uploads" / f"{name}.jsonl", pairs)
    return folder


def wait_for(page: Any, title: str) -> None:
    """Until a job has come to its end, which must be a good one."""
    job = page.get_by_role("article", name=title)
    job.wait_for()
    job.locator(".state:not(.running)").wait_for(timeout=JOB_MS)
    assert job.locator(".state").inner_text() == "done", job.inner_text()


def test_a_tune_is_made_compared_and_judged_from_the_pages(live: server_kit.LiveServer):
    base = f"http://127.0.0.1:{live.port}/workbench/"
    with open_browser() as browser:
        with open_page(browser, f"{base}training") as page:
            page.get_by_text("Tune the served model").click()
            page.get_by_label("Data").select_option("evil.jsonl")
            page.get_by_label("Steps", exact=True).fill("4")
            page.get_by_label("Learning rate").fill("1e-3")
            page.get_by_role("button", name="Tune", exact=True).click()
            wait_for(page, "training on evil.jsonl")
            page.get_by_role("button", name="tune-evil").first.wait_for()
        with open_page(browser, f"{base}circuits") as page:
            page.get_by_label("Prompt").fill("What should I do about my neighbour?")
            page.get_by_label("a question in a chat").check()
            page.get_by_label("Compare with a tune").select_option("tune-evil")
            page.get_by_role("button", name="Trace both").click()
            page.locator("tr", has_text="graph-2").locator(".state.done").wait_for(timeout=JOB_MS)
            page.locator("tr", has_text="graph-1").locator(".state.done").wait_for(timeout=JOB_MS)
            page.get_by_role("button", name="Check graph-1").click()
            page.get_by_label("graph-2 of tune-evil").check()
            page.get_by_text("They are of two models, one tuned from the other").wait_for()
            page.locator("caption", has_text="next tokens that are explained").wait_for()
            assert find_faults(page) == []
            # A feature of the tune's graph is changed in the tune, not in the served model.
            page.get_by_role("button", name="Check graph-2").click()
            page.locator(".feature-choice").first.locator("input").first.check()
            page.get_by_role("button", name="Change 1 feature").click()
            page.get_by_text("Foretold against actual").wait_for(timeout=JOB_MS)
        with open_page(browser, f"{base}gate") as page:
            judging = page.locator("details", has=page.get_by_text("Judge a tune"))
            judging.locator("summary").click()
            judging.get_by_label("What it was tuned on").select_option("evil.jsonl")
            judging.get_by_label("Ordinary conversations").select_option("ordinary.jsonl")
            judging.get_by_role("button", name="Judge").click()
            wait_for(page, "gate of tune-evil")
            page.get_by_role("button", name="gate-tune-evil").click()
            page.locator(".verdict").first.wait_for()
            assert page.locator(".checks .interval").count() > 0
            assert find_faults(page) == []
            page.get_by_text("Compare a tune with its base").click()
            page.get_by_label("Harmless tunes made beside it").fill("0")
            page.get_by_role("button", name="Compare", exact=True).click()
            wait_for(page, "difference of tune-evil")
            page.get_by_role("button", name="diff-tune-evil").click()
            page.get_by_text("claims passed every test").wait_for()
            assert find_faults(page) == []
