"""A graph's page in a browser: what a reader sees and does."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from absent import import_or_skip
from page_kit import HOSTILE, details, known_document, random_document
from workbench_kit import open_browser

from mindscope.circuits.page.page import build_public_page

import_or_skip("playwright.sync_api", "dev")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

KNOWN = {(1, 4): details()}
CHECK = {"predicted": [1.0, -2.0, 0.5], "actual": [1.1, -1.5, -0.1], "r": 0.9, "sign_agreement": 2 / 3}
PAIRS = [{"query": "0_9_2", "key": "bias", "value": -2.5}]
SCORE = {"layer": 1, "head": 0, "query": 2, "key": 1, "score": 3.0, "attention": 0.25, "pairs": PAIRS}
LOADING = {"source": "0_7_1", "target": "1_4_2", "heads": [{"layer": 1, "head": 3, "value": 1.25}]}
HEADS = {"scores": [SCORE], "loadings": [LOADING]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    known = build_public_page(known_document(), details=KNOWN, validation=CHECK, qk=HEADS)
    large = build_public_page(random_document(2000, 50_000, 64, layers=26))
    return {
        "known": known.write(folder / "known.html").as_uri(),
        "large": large.write(folder / "large.html").as_uri(),
    }


@pytest.fixture
def page(browser: Browser, files: dict[str, str]) -> Iterator[Page]:
    """The page of the known graph; whatever a test does on it, nothing may go wrong or leave the page."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "blob:")) or wrong.append(request.url)
    )
    page.goto(files["known"])
    yield page
    assert page.evaluate("window.hacked") is None
    assert wrong == []
    context.close()


def node(page: Page, name: str):
    return page.locator(f'.node[data-id="{name}"]')


def box(page: Page, name: str):
    return page.locator(f'.box[data-id="{name}"]')


def entries(page: Page, name: str) -> list[tuple[str, str]]:
    """The ids and weights of a list, in its order."""
    result = page.get_by_role("region", name=name).locator(".entry")
    return [
        (link.get_attribute("data-id") or "", link.locator(".weight").inner_text()) for link in result.all()
    ]


def settled(page: Page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def address(page: Page) -> dict[str, str]:
    settled(page)
    return {key: value for key, [value] in parse_qs(urlsplit(page.url).fragment).items()}


def pin(page: Page, *names: str) -> None:
    for name in names:
        node(page, name).click(modifiers=["Control"])


def group(page: Page, *names: str) -> None:
    page.keyboard.down("g")
    for name in names:
        node(page, name).click()
    page.keyboard.up("g")


def test_it_opens_on_the_first_target_and_shows_tokens_as_text(page: Page):
    expect(page.get_by_role("region", name="Node in focus").locator("h2")).to_have_text(
        'Output " Austin" (p=0.800)'
    )
    assert entries(page, "Inputs") == [("1_4_2", "+4"), ("0_9_2", "−2"), ("0_7_1", "+0.5")]
    assert page.locator("#tokens span").all_inner_texts() == ["<bos>", HOSTILE, "is"]
    expect(page.locator("#target-names text").first).to_contain_text("Austin 0.80")
    assert page.locator(".node.error").get_attribute("d") != node(page, "1_4_2").get_attribute("d")


def test_a_click_lists_signed_inputs_and_outputs(page: Page):
    node(page, "1_4_2").click()
    settled(page)
    assert entries(page, "Inputs") == [("0_7_1", "+1.5"), ("0_9_2", "−0.5"), ("0_-1_2", "+0.25")]
    assert entries(page, "Outputs") == [("3_50_2", "+4"), ("3_51_2", "−1")]
    assert page.locator("#node .sums").all_inner_texts() == ["+1.75 −0.5", "+4 −1"]
    faded = page.locator(".node.faded").evaluate_all("all => all.map((one) => one.dataset.id)")
    assert sorted(faded) == ["E_1_0", "E_2_1", "E_3_2"]
    page.get_by_text("inputs", exact=True).click()
    settled(page)
    assert entries(page, "Outputs") == []
    assert address(page) == {"clickedId": "1_4_2", "linkType": "input"}


def test_hovering_tells_what_a_node_is_and_draws_its_links(page: Page):
    picture = "document.getElementById('links-front').toDataURL()"
    empty = page.evaluate(picture)
    node(page, "0_9_2").hover()
    expect(page.locator("#note")).to_contain_text("L0 · 9")
    expect(page.locator("#note")).to_contain_text("feature 9 of layer 0 at “is” (2)")
    expect(page.locator("#note")).to_contain_text("link −2")
    assert page.evaluate(picture) != empty


def test_pinned_nodes_stand_in_the_subgraph_with_their_links(page: Page):
    pin(page, "0_7_1", "1_4_2", "3_50_2")
    expect(page.locator(".box")).to_have_count(3)
    weights = page.locator("#subgraph-links path").evaluate_all("all => all.map((one) => one.dataset.weight)")
    assert sorted(map(float, weights)) == [0.5, 1.5, 4.0]
    assert address(page)["pinnedIds"] == "0_7_1,1_4_2,3_50_2"
    pin(page, "1_4_2")
    expect(page.locator(".box")).to_have_count(2)


def test_holding_g_groups_what_is_clicked(page: Page):
    pin(page, "1_4_2", "3_50_2")
    group(page, "0_7_1", "0_9_2")
    made = box(page, "supernode-0")
    expect(made).to_contain_text("2 nodes")
    # Summed over the members: into the feature 1.5 - 0.5, into the target 0.5 - 2.
    titles = page.locator("#subgraph-links title").all_text_contents()
    assert sorted(title.split(": ")[1].split(" ")[0] for title in titles) == ["+1", "+4", "−1.5"]
    made.locator(".grip").dblclick()
    made.get_by_role("textbox").fill("state")
    page.keyboard.press("Enter")
    expect(made).to_contain_text("state")
    assert json.loads(address(page)["supernodes"]) == [["state", "0_7_1", "0_9_2"]]
    assert address(page)["clickedId"] == "supernode-0"  # from the first of the two clicks
    assert entries(page, "Outputs") == [("3_50_2", "−1.5"), ("1_4_2", "+1")]
    made.hover()
    made.get_by_role("button", name="Ungroup state").click()
    expect(page.locator(".box")).to_have_count(4)
    assert "supernodes" not in address(page)


def test_the_slider_hides_nodes_beyond_a_share_of_the_influence(page: Page):
    expect(page.locator("#amount")).to_have_text("9 nodes, 9 links")
    page.locator("#pruning").fill("0.5")
    expect(page.locator("#amount")).to_have_text("7 nodes, 4 links")
    expect(node(page, "1_4_2")).to_be_hidden()
    expect(node(page, "0_9_2")).to_be_visible()
    assert entries(page, "Inputs") == [("0_9_2", "−2"), ("0_7_1", "+0.5")]


def test_the_address_brings_it_all_back(page: Page, files: dict[str, str]):
    group(page, "0_7_1", "0_9_2")
    pin(page, "1_4_2")
    node(page, "1_4_2").click()
    page.get_by_label("Label of the node").fill("say Austin")
    page.keyboard.press("Enter")
    page.locator("#pruning").fill("0.6")
    before = address(page)
    assert json.loads(before["clerps"]) == [["1_19_2", "say Austin"]]
    start = box(page, "1_4_2").bounding_box()
    assert start
    page.mouse.move(start["x"] + 30, start["y"] + 20)
    page.mouse.down()
    page.mouse.move(start["x"] - 70, start["y"] + 80, steps=4)
    page.mouse.up()
    page.wait_for_url(lambda url: "sg_pos" in url)
    there = box(page, "1_4_2").bounding_box()
    kept = page.url
    page.goto("about:blank")
    page.goto(kept)
    expect(box(page, "1_4_2")).to_contain_text("say Austin")
    expect(page.get_by_label("Label of the node")).to_have_value("say Austin")
    expect(node(page, "0_-1_2")).to_be_hidden()
    assert address(page) == {**before, "sg_pos": address(page)["sg_pos"]}
    again = box(page, "1_4_2").bounding_box()
    assert there
    assert again == pytest.approx(there, abs=2)
    assert there["y"] - start["y"] == pytest.approx(60, abs=2)


def test_a_feature_shows_contexts_logits_and_histogram(page: Page):
    node(page, "1_4_2").click()
    panel = page.get_by_role("region", name="Feature in focus")
    expect(panel.locator(".chip.up")).to_have_text(["Austin", "Texas", "Dallas", "⏎"])
    expect(panel.locator(".chip.down")).to_have_text(["the", "of"])
    assert panel.locator(".histogram rect").count() == len(KNOWN[1, 4]["histogram"])
    expect(panel.locator("details")).to_have_count(2)
    context = panel.locator(".context").first
    assert context.locator("span").count() == 49
    peak = context.locator(".peak")
    assert peak.evaluate("one => one.style.getPropertyValue('--at')") == "100%"
    panel.get_by_role("button", name="Show the whole context").first.click()
    assert context.locator("span").count() == 90
    node(page, "0_7_1").click()
    expect(panel).to_contain_text("without contexts of feature 7 of layer 0")


def test_search_finds_by_label_and_enter_goes_there(page: Page):
    page.keyboard.press("/")
    page.keyboard.type("capital")
    assert page.locator(".node.found").evaluate_all("all => all.map((one) => one.dataset.id)") == ["1_4_2"]
    expect(page.locator("#results")).to_contain_text("1 node found")
    page.keyboard.press("Enter")
    assert address(page) == {"clickedId": "1_4_2"}
    expect(page.locator("#results")).to_be_hidden()


def test_the_keyboard_alone_is_enough(page: Page):
    node(page, "E_2_1").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.id") == "E_3_2"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "say a capital: feature 4 of layer 1"
    )
    page.keyboard.press("Enter")
    page.keyboard.press("p")
    settled(page)
    assert address(page) == {"clickedId": "1_4_2", "pinnedIds": "1_4_2"}
    page.keyboard.press("Escape")
    assert address(page)["clickedId"] == "none"
    unnamed = page.locator(":is(button, input, select, [role=button]):visible").evaluate_all(
        "all => all.filter((one) => !(one.ariaLabel || one.textContent.trim() || one.closest('label')))"
        ".map((one) => one.outerHTML)"
    )
    assert unnamed == []


def test_the_saved_json_is_the_graph_with_the_reader_s_work(page: Page, tmp_path: Path):
    group(page, "0_7_1", "0_9_2")
    node(page, "1_4_2").click()
    page.get_by_label("Label of the node").fill("say Austin")
    page.keyboard.press("Enter")
    settled(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save JSON").click()
    started.value.save_as(tmp_path / "saved.json")
    saved = json.loads((tmp_path / "saved.json").read_text("utf-8"))
    given = known_document()
    assert saved["links"] == given["links"]
    assert saved["metadata"] == given["metadata"]
    given["nodes"][6]["clerp"] = "say Austin"
    assert saved["nodes"] == given["nodes"]
    assert saved["qParams"]["supernodes"] == [["Texas", "0_7_1", "0_9_2"]]
    assert saved["qParams"]["clickedId"] == "1_4_2"
    assert saved["qParams"]["clerps"] == [["1_19_2", "say Austin"]]
    assert saved["qParams"]["pruningThreshold"] == 0.7


def test_the_saved_picture_has_every_node_and_needs_no_style(page: Page, tmp_path: Path):
    with page.expect_download() as started:
        page.get_by_role("button", name="Save SVG").click()
    started.value.save_as(tmp_path / "graph.svg")
    root = ET.parse(tmp_path / "graph.svg").getroot()
    space = {"": "http://www.w3.org/2000/svg"}
    marks = [path for path in root.findall("path", space) if path.find("title", space) is not None]
    assert len(marks) == 9
    assert len([path for path in root.findall("path", space) if path.get("fill") == "none"]) == 3
    paints = [path.get(paint) or "" for path in root.findall("path", space) for paint in ("stroke", "fill")]
    assert all(paint == "none" or paint.startswith(("#", "rgb(")) for paint in paints)
    texts = [text.text for text in root.findall("text", space)]
    assert "is" in texts
    assert "Austin 0.80" in texts


def test_checks_and_heads_stand_below(page: Page):
    checked = page.locator("#validation")
    expect(checked).to_contain_text("correlation r 0.9")
    expect(checked).to_contain_text("same sign 67 %")
    assert checked.locator(".dot").count() == 3
    assert checked.locator(".dot.wrong").count() == 1
    heads = page.locator("#attention")
    expect(heads).to_contain_text("Why L1 head 0 looked from “is” (2)")
    expect(heads).to_contain_text("score 3, 25 % of its attention")
    expect(heads.get_by_role("row").filter(has_text="bias")).to_contain_text("−2.5")
    expect(heads.get_by_role("button", name="L0 · 9")).to_be_visible()
    expect(heads.get_by_role("row").filter(has_text="L1 head 3")).to_contain_text("+1.25")
    heads.get_by_role("button", name="say a capital").click()
    assert address(page) == {"clickedId": "1_4_2"}


def test_a_large_graph_shows_all_of_a_node_s_links(browser: Browser, files: dict[str, str]):
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(files["large"])
    expect(page.locator("#amount")).to_have_text("2,000 nodes, 50,000 links (the strongest 4,000 drawn)")
    made = random_document(2000, 50_000, 64, layers=26)
    busiest = max(
        (node["node_id"] for node in made["nodes"]),
        key=lambda name: sum(link["target"] == name for link in made["links"][:5000]),
    )
    page.goto(f"{files['large']}#clickedId={busiest}")
    into = sum(link["target"] == busiest for link in made["links"])
    expect(page.get_by_role("region", name="Inputs").locator("h3")).to_have_text(f"Inputs {into}")
    page.close()
