"""The chat page in a browser: dials, both answers, tokens, alarms, and the address that holds all of it."""

from collections.abc import Iterator
from typing import Any

import pytest
import server_kit
from workbench_kit import HOSTILE, find_faults, open_page

from mindscope.server.workbench.routes import WorkbenchPlace


@pytest.fixture(scope="module")
def live(make_service) -> Iterator[server_kit.LiveServer]:
    """One with thresholds so low that answers cross them."""
    with server_kit.serving(make_service(level=0.5), workbench=WorkbenchPlace()) as live:
        yield live


@pytest.fixture
def page(browser: Any, live: server_kit.LiveServer) -> Iterator[Any]:
    with open_page(browser, f"http://127.0.0.1:{live.port}/workbench/chat") as page:
        page.locator(".dial").first.wait_for()
        yield page


def ask(page: Any, text: str) -> Any:
    """Ask, and wait for the end of the turn."""
    turns = page.locator(".turn")
    before = turns.count()
    page.get_by_label("Your question").fill(text)
    page.keyboard.press("Enter")
    turn = turns.nth(before)
    turn.wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="detached")
    return turn


def answer(turn: Any, arm: str) -> str:
    return turn.get_by_role("article", name=f"{arm} answer").locator(".tokens").inner_text()


def turn_dial(page: Any, name: str, value: str) -> None:
    page.get_by_label(f"Coefficient of {name}").fill(value)


def test_a_turned_dial_gives_a_second_answer_from_the_same_seed(page: Any):
    turn = ask(page, "Should I trust my neighbour?")
    assert turn.get_by_role("article").count() == 1
    plain = answer(turn, "default")
    turn_dial(page, "evil", "2.5")
    page.get_by_role("button", name="Answer again").click()
    steered = page.get_by_role("article", name="steered answer")
    steered.locator(".applied").wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="detached")
    assert answer(turn, "default") == plain
    assert answer(turn, "steered") != plain
    steered.get_by_text("what was really done").click()
    assert "2.5 of its length" in steered.locator(".applied").inner_text()


def test_tokens_are_coloured_and_a_click_tells_what_is_known_there(page: Any):
    turn_dial(page, "evil", "2")
    turn = ask(page, "Should I trust my neighbour?")
    tokens = turn.get_by_role("article", name="steered answer").locator(".token")
    shades = tokens.evaluate_all("all => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(shades)) > 2
    tokens.nth(1).click()
    panel = page.locator(".token-panel")
    panel.get_by_text("Likeliest here").wait_for()
    assert panel.locator(".likely tbody tr").count() == 10
    assert panel.locator(".likely .drawn").count() <= 1
    panel.locator("svg.plot").wait_for()
    row = panel.get_by_role("row").filter(has_text="evil")
    title = tokens.nth(1).get_attribute("title")
    assert title == f"evil {row.first.locator('td').inner_text()}"
    tokens.nth(1).press("ArrowRight")
    page.keyboard.press("Enter")
    assert "number 3 of the steered answer" in panel.inner_text()
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")


def test_an_alarm_is_shown_with_its_line_and_the_rate_that_it_holds(page: Any, live: server_kit.LiveServer):
    turn_dial(page, "evil", "3")
    turn = ask(page, "Should I trust my neighbour?")
    steered = turn.get_by_role("article", name="steered answer")
    assert live.service.planner.calibration is not None
    line = live.service.planner.calibration.thresholds[0].item()
    assert f"line {line:.3g}" in steered.locator(".meter.raised", has_text="evil").inner_text()
    assert "crossed its line" in steered.locator(".event.crossed").first.inner_text()
    drift = page.locator(".drift")
    assert "at most 5 % of ordinary conversations" in drift.inner_text()
    assert "100 conversations" in drift.inner_text()


def test_the_address_brings_the_conversation_back(browser: Any, page: Any):
    page.get_by_text("Temperature").first.click()
    page.get_by_label("Seed").fill("11")
    turn_dial(page, "kind", "-1.5")
    first = ask(page, f"Is {HOSTILE} a neighbour?")
    ask(page, "And is it true?")
    page.get_by_label("Colour tokens by").select_option("kind")
    first.get_by_role("article", name="steered answer").locator(".token").nth(2).click()
    page.locator(".token-panel .likely").wait_for()
    page.wait_for_timeout(300)  # until the address is written
    texts = page.locator(".tokens").all_inner_texts()
    shown = [title.split(" ")[0] for title in _titles(page)]
    assert len(texts) == 4
    with open_page(browser, page.url) as again:
        again.locator(".token-panel .likely").wait_for()
        again.locator(".turn").nth(1).locator(".meter").nth(3).wait_for()
        assert again.locator(".tokens").all_inner_texts() == texts
        assert again.locator(".asked p").first.inner_text() == f"Is {HOSTILE} a neighbour?"
        assert again.get_by_label("Coefficient of kind").input_value() == "-1.5"
        assert again.get_by_label("Colour tokens by").input_value() == "kind"
        assert "number 3 of the steered answer to turn 1" in again.locator(".token-panel").inner_text()
        assert [title.split(" ")[0] for title in _titles(again)] == shown
        assert again.url == page.url


def _titles(page: Any) -> list[str]:
    return (
        page.locator(".turn")
        .first.locator(".token[title]")
        .evaluate_all("all => all.map((one) => one.title)")
    )


def test_branching_goes_back_and_the_browser_s_way_back_leads_here_again(page: Any):
    ask(page, "Should I trust my neighbour?")
    ask(page, "And my friend?")
    page.get_by_role("button", name="Branch here").nth(1).click()
    assert page.locator(".turn").count() == 1
    assert page.get_by_label("Your question").input_value() == "And my friend?"
    page.go_back()
    page.locator(".turn").nth(1).wait_for()


def test_replaying_gives_the_same_answers(page: Any):
    turn = ask(page, "Should I trust my neighbour?")
    before = answer(turn, "default")
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name="Stop").wait_for(state="detached")
    assert answer(turn, "default") == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900, 390])
def test_nothing_stands_out_of_the_window_and_text_is_legible(
    browser: Any, live: server_kit.LiveServer, scheme: str, width: int
):
    url = f"http://127.0.0.1:{live.port}/workbench/chat#dials=%7B%22evil%22%3A2%7D"
    with open_page(browser, url, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        page.locator(".dial").first.wait_for()
        ask(page, "Should I trust my neighbour?")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        ink, paper = page.evaluate(
            "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert (sum(_channels(ink)) < sum(_channels(paper))) == (scheme == "light")


def _channels(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def test_no_serious_fault_of_access(page: Any):
    turn_dial(page, "evil", "2")
    turn = ask(page, "Should I trust my neighbour?")
    turn.get_by_role("article", name="steered answer").locator(".token").nth(1).click()
    page.locator(".token-panel svg.plot").wait_for()
    assert find_faults(page) == []


def test_a_server_with_a_token_asks_for_it(browser: Any, make_service):
    with server_kit.serving(make_service(), workbench=WorkbenchPlace(), token="secret") as closed:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{closed.port}/workbench/")
        field = page.get_by_label("Token")
        field.fill("wrong")
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("heading", name="asks for a token").wait_for()
        field.fill("secret")
        page.get_by_role("button", name="Enter").click()
        page.locator(".dial").first.wait_for()
        assert "secret" not in page.url
        page.reload()
        page.locator(".dial").first.wait_for()
        context.close()
