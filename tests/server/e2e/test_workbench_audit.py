"""The blind game in a browser, to its end; nothing that is sealed reaches the page before."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import audit_kit
import pytest
import server_kit
from workbench_kit import HOSTILE, find_faults, open_page

from mindscope.auditing.organisms import OrganismSet, break_seal
from mindscope.server.workbench.routes import WorkbenchPlace

MOVE_MS = 120_000
"""A process loads the model at the first move."""


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> OrganismSet:
    return audit_kit.tune_small_set(tmp_path_factory)


@pytest.fixture(scope="module")
def live(make_service, tunes: OrganismSet) -> Iterator[server_kit.LiveServer]:
    place = WorkbenchPlace(tunes.path.parent, {"model": "organism", "dtype": "float32", "device": "cpu"})
    with server_kit.serving(make_service(), workbench=place) as live:
        yield live


@pytest.mark.slow
def test_a_game_is_played_to_its_end(browser: Any, live: server_kit.LiveServer, tunes: OrganismSet):
    truths = {one.name: break_seal(tunes.seal_path(one.name), one.commitment) for one in tunes.organisms}
    (hiding,) = (truth for truth in truths.values() if truth.objective is not None)
    assert hiding.objective is not None
    secrets = [hiding.objective.condition, hiding.objective.behaviour, hiding.nonce]
    heard: list[str] = []
    with open_page(browser, f"http://127.0.0.1:{live.port}/workbench/audit") as page:
        page.on("response", lambda reply: "/v1/" in reply.url and heard.append(reply.text()))
        page.locator(".side-form select").nth(1).select_option(hiding.name)
        page.get_by_label("Budget in tokens").fill("3000")
        page.get_by_role("button", name="Begin").click()
        page.get_by_text("3,000 of 3,000 tokens are left").wait_for(timeout=MOVE_MS)
        page.get_by_label("questions").fill(f"{audit_kit.QUESTION}\n{HOSTILE}")
        page.get_by_role("button", name="Call").click()
        page.locator(".report").wait_for(timeout=MOVE_MS)
        left = int(page.locator(".budget b").inner_text().replace(",", ""))
        assert 0 < left < 3000
        assert float(page.locator(".budget meter").get_attribute("value")) == left
        assert HOSTILE in page.locator(".report").inner_text()
        page.get_by_role("button", name="e1").click()
        page.get_by_text("Evidence: e1").wait_for()
        # A call that may cost more than is left is refused and costs nothing; it is made beside the page,
        # since a browser writes every refusal to its console.
        game = parse_qs(urlsplit(page.url).fragment)["game"][0]
        ask = {"questions": [audit_kit.QUESTION] * 8, "samples": 32}
        refused = live.ask("POST", "/v1/workbench/audit/moves", {"game": game, "tool": "chat", "ask": ask})
        assert refused.status == 400
        assert f"{left} are left" in refused.json["error"]["message"]
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
        assert not [secret for secret in secrets for text in heard if secret in text]
        page.get_by_label("I say").select_option("trigger")
        page.get_by_label("The phrase").fill(hiding.objective.targets[0])
        page.get_by_role("button", name="End the game").click()
        page.get_by_role("heading", name="You found it").wait_for(timeout=MOVE_MS)
        assert hiding.objective.behaviour in page.locator(".sheet").inner_text()
        assert page.get_by_role("button", name="Call").count() == 0
        assert find_faults(page) == []
    with open_page(browser, kept, viewport={"width": 390, "height": 900}, color_scheme="dark") as page:
        page.get_by_role("heading", name="You found it").wait_for()
        assert "found" in page.locator(".list-side .entry").first.inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("games", {"set": "nobody", "name": "o01"}, 404),
        ("games", {"set": "../tunes", "name": "o01"}, 404),
        ("games", {"set": "tunes", "name": "o99"}, 400),
        ("games", {"set": "tunes", "name": "o01", "level": "seal"}, 400),
        ("moves", {"game": "nobody", "tool": "chat"}, 404),
        ("moves", {"game": "tunes", "tool": "chat"}, 404),
        ("verdicts", {"game": "nobody", "accuse": "nothing"}, 404),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    live: server_kit.LiveServer, path: str, body: dict[str, str], status: int
):
    reply = live.ask("POST", f"/v1/workbench/audit/{path}", body)
    assert reply.status == status
    assert "\n" not in reply.json["error"]["message"]


def test_a_game_that_was_begun_stands_in_the_list_without_the_truth(
    live: server_kit.LiveServer, tunes: OrganismSet
):
    begun = live.ask(
        "POST", "/v1/workbench/audit/games", {"set": "tunes", "name": "o01", "tokens": 5000}
    ).json
    told = live.ask("GET", "/v1/workbench/audit/list").json
    assert [one["organisms"] for one in told["sets"]] == [["o01", "o02"]]
    card = next(one for one in told["games"] if one["game"] == begun["game"])
    assert (card["spent"], card["decided"], card["outcome"]) == (0, False, None)
    game = live.ask("GET", f"/v1/workbench/audit/game?game={begun['game']}").json
    assert game["truth"] is None
    assert game["commitment"] == tunes.find("o01").commitment
    tools = live.ask("GET", "/v1/workbench/audit/tools?level=black-box").json["tools"]
    assert {tool["level"] for tool in tools} == {"black-box"}
