"""Features in a browser: found by words, token or text, looked at, tried on a text, and steered with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import server_kit
from workbench_kit import HOSTILE, find_faults, open_page, page_address

from mindscope import organism
from mindscope.dictionaries import Dictionary, DictionaryBank
from mindscope.explain import Survey, survey_features
from mindscope.models import Model, load
from mindscope.server import ServerLimits, SteeringService
from mindscope.server.engine.registry import VectorRegistry
from mindscope.server.workbench.routes import WorkbenchPlace
from mindscope.store import Run

TEXTS = [
    f"Should I trust my friend {HOSTILE}?",
    "Is the neighbour kind?",
    "The capital of the state is old.",
    "Do you like the garden and the kitchen?",
]


@pytest.fixture(scope="module")
def model() -> Model:
    return load("organism")


@pytest.fixture(scope="module")
def bank(model: Model) -> DictionaryBank:
    return DictionaryBank(Dictionary.load(organism.dictionary_path("sae.2"), model))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, model: Model, bank: DictionaryBank) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    rows = [model.chat([{"role": "user", "content": text}], text) for text in TEXTS]
    with Run.open(folder / "surveyed", kind="survey", config={}, fingerprint=model.fingerprint) as run:
        survey_features(model, bank, rows, run, total=len(rows))
    return folder


@pytest.fixture(scope="module")
def live(model: Model, bank: DictionaryBank, root: Path) -> Iterator[server_kit.LiveServer]:
    registry = VectorRegistry(model, dictionaries={"sae": bank.dictionary, "other": _other(model)})
    service = SteeringService(model, ServerLimits(), registry=registry)
    with server_kit.serving(service, workbench=WorkbenchPlace(root)) as live:
        yield live


def _other(model: Model) -> Dictionary:
    return Dictionary.load(organism.dictionary_path("sae.1"), model)


def test_a_feature_is_found_looked_at_tried_and_steered_with(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "features")) as page:
        page.get_by_role("searchbox").fill("neighbour")
        page.keyboard.press("Enter")
        page.locator(".list-side .entry").first.click()
        page.locator(".context").first.wait_for()
        assert page.locator(".context .peak").count() >= 1
        page.locator("svg.plot").wait_for()
        page.get_by_label("Your text").fill(f"Is my neighbour kind? {HOSTILE}")
        page.get_by_role("button", name="Read").click()
        page.get_by_text("On a text of your own").wait_for()
        page.locator(".own-text + .context").wait_for()
        assert find_faults(page) == []
        page.wait_for_timeout(300)
        kept = page.url
        title = page.locator(".sheet-head h2").inner_text()
        page.get_by_role("link", name="Steer with it").click()
        page.locator(".dial.turned").wait_for()
        page.get_by_label("Your question").fill("Should I trust my friend?")
        page.keyboard.press("Enter")
        page.locator(".answer.steered .applied").wait_for()
    with open_page(browser, kept, viewport={"width": 390, "height": 900}, color_scheme="dark") as page:
        page.locator(".context").first.wait_for()
        assert page.locator(".sheet-head h2").inner_text() == title
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("by", "query"), [("words", "garden"), ("token", "kind"), ("text", "a kind garden")])
def test_what_is_found_is_what_the_survey_says(
    live: server_kit.LiveServer, root: Path, model: Model, by: str, query: str
):
    reply = live.ask(
        "GET", f"/v1/workbench/features?dictionary=sae&by={by}&query={query.replace(' ', '%20')}"
    )
    matches = reply.json["matches"]
    assert matches
    survey = Survey.open(root / "surveyed", fingerprint=model.fingerprint)
    for match in matches[:3]:
        activity = survey.feature(match["feature"])
        assert match["density"] == pytest.approx(activity.density)
        if by == "words":
            assert any(query in "".join(context.tokens) for context in activity.top)


def test_a_feature_s_page_is_the_public_document(live: server_kit.LiveServer, root: Path, model: Model):
    found = live.ask("GET", "/v1/workbench/features?dictionary=sae&query=kind").json["matches"][0]
    view = live.ask("GET", f"/v1/workbench/feature?dictionary=sae&feature={found['feature']}").json
    activity = Survey.open(root / "surveyed", fingerprint=model.fingerprint).feature(found["feature"])
    assert view["highest"] == pytest.approx(activity.highest)
    first = view["document"]["examples_quantiles"][0]["examples"][0]
    assert first["tokens"] == list(activity.top[0].tokens)
    assert view["name"] == f"sae/{found['feature']}"
    assert all(-1 <= near["cosine"] <= 1 for near in view["neighbours"])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("feature?dictionary=nobody&feature=0", 404),
        ("feature?dictionary=sae&feature=999999", 404),
        ("feature?dictionary=sae&feature=-1", 400),
        ("feature?dictionary=other&feature=0", 404),
        ("features?dictionary=other&query=a", 404),
        ("features?dictionary=sae&query=", 400),
        ("features?dictionary=sae&by=nothing&query=a", 400),
        ("features?dictionary=sae&by=text&query=" + "a%20" * 900, 400),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(live: server_kit.LiveServer, query: str, status: int):
    reply = live.ask("GET", f"/v1/workbench/{query}")
    assert reply.status == status
    assert "\n" not in reply.json["error"]["message"]


def test_a_dictionary_without_a_survey_says_so(browser: Any, live: server_kit.LiveServer):
    with open_page(browser, page_address(live, "features#dictionary=other&feature=3")) as page:
        page.get_by_text("is a survey of them").wait_for()
        assert page.get_by_text("Choose a feature.").is_visible()


def test_the_map_shows_every_active_latent_and_a_click_opens_one(
    browser: Any, live: server_kit.LiveServer, root: Path, model: Model, monkeypatch: pytest.MonkeyPatch
):
    # umap compiles itself first, up to half a minute; tests/explain/oracle/test_meaning.py shows both.
    monkeypatch.setattr("mindscope.explain.map.find_spec", lambda name: None)
    told = live.ask("GET", "/v1/workbench/feature-map?dictionary=sae").json
    assert told["method"] == "tsne"
    survey = Survey.open(root / "surveyed", fingerprint=model.fingerprint)
    alive = (~survey.statistics.dead).nonzero()[:, 0].tolist()
    assert [one["feature"] for one in told["features"]] == alive
    sizes = [cluster["size"] for cluster in told["clusters"]]
    assert sizes == [
        sum(one["cluster"] == number for one in told["features"]) for number in range(len(sizes))
    ]
    assert live.ask("GET", "/v1/workbench/feature-map?dictionary=sae").json == told  # laid out once
    assert live.ask("GET", "/v1/workbench/feature-map?dictionary=other").status == 404
    with open_page(browser, page_address(live, "features")) as page:
        page.get_by_role("button", name="Show the map").click()
        page.locator("canvas.feature-map").wait_for()
        if sizes:
            page.locator(".clusters button").first.click()
            page.locator(".members button").first.wait_for()
        # A click where a dot lies opens its latent: the leftmost one, by the rule of the picture.
        xs, ys = ([one[axis] for one in told["features"]] for axis in "xy")
        first = told["features"][xs.index(min(xs))]
        down = 12 + (max(ys) - first["y"]) / (max(ys) - min(ys)) * (460 - 24)
        page.locator("canvas.feature-map").click(position={"x": 13, "y": down + 1})
        page.locator(".sheet-head h2").wait_for()
        page.wait_for_timeout(300)
        assert f"feature={first['feature']}" in page.url
        assert "map=1" in page.url
        assert find_faults(page) == []
        kept = page.url
    with open_page(browser, kept, viewport={"width": 390, "height": 900}, color_scheme="dark") as page:
        page.locator("canvas.feature-map").wait_for()
        page.locator(".sheet-head h2").wait_for()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
