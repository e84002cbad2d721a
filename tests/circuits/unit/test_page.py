"""The file of a graph's page: what is in it, and what it may do."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from math import nan

import pytest
from circuit_graphs import random_graph
from page_kit import HOSTILE, details, feature, known_document

from mindscope.circuits import GraphValidation, PredictionAgreement, prune_graph
from mindscope.circuits.graph.supernodes import Supernode
from mindscope.circuits.page.page import build_graph_page, build_public_page
from mindscope.errors import DataError


class Parts(HTMLParser):
    """A page as a browser takes it apart: its elements, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside][-1] += data

    @property
    def content(self) -> dict:
        return json.loads(self.texts["script"][0])


def policy_of(parts: Parts) -> dict[str, str]:
    """The page's content security policy, by directive."""
    [text] = [
        attributes["content"] or ""
        for tag, attributes in parts.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    return dict(directive.strip().split(" ", 1) for directive in text.split(";"))


def test_a_browser_may_run_this_script_alone_and_ask_for_nothing():
    parts = Parts(build_public_page(known_document()))
    policy = policy_of(parts)
    [script], [style] = parts.texts["script"][1:], parts.texts["style"]
    for directive, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert not [element for element in parts.elements if {"src", "href", "style"} & element[1].keys()]
    assert not re.search(
        r"url\(|@import|\bimport\b *[(\"'{]|\bfetch\b|XMLHttpRequest|innerHTML|\beval\b", script + style
    )


def test_tokens_stay_text():
    parts = Parts(build_public_page(known_document(), title=HOSTILE))
    assert [tag for tag, _ in parts.elements].count("script") == 2
    assert "img" not in [tag for tag, _ in parts.elements]
    assert parts.content["metadata"]["prompt_tokens"][1] == HOSTILE


def test_links_are_numbered_and_places_read_from_ids():
    content = Parts(build_public_page(known_document())).content
    names = [node["node_id"] for node in content["nodes"]]
    links = [(names[source], names[target], weight) for source, target, weight in content["links"]]
    given = [tuple(link.values()) for link in known_document()["links"]]
    assert links == given
    assert content["shown"][names.index("1_4_2")] == {
        "kind": "feature",
        "layer": 1,
        "position": 2,
        "latent": 4,
    }
    assert content["shown"][names.index("0_-1_2")]["kind"] == "error"
    assert content["layers"] == 2


def test_details_of_features_that_are_not_shown_stay_out():
    page = build_public_page(
        known_document(), details={(1, 4): details(), (1, 5): details(), (0, 4): details()}
    )
    assert list(Parts(page).content["details"]) == ["1_4"]


def test_a_validation_may_hold_nan_and_its_interval():
    agreement = PredictionAgreement(r=nan, low=None, high=None, sign_agreement=0.5, pairs=2)
    checked = GraphValidation(
        mode="open",
        factor=0.0,
        changed=("0_7_1",),
        intervention=(0, 0),
        nodes=("1_4_2", "3_50_2"),
        predicted=(1.0, nan),
        actual=(2.0, 0.0),
        overall=agreement,
        features=agreement,
        targets=agreement,
        logits=agreement,
    )
    content = Parts(build_public_page(known_document(), validation=checked)).content
    assert content["validation"]["predicted"] == [1.0, None]
    assert content["validation"]["nodes"] == ["1_4_2", "3_50_2"]
    assert content["validation"]["r"] is None


def test_heads_of_links_that_are_not_shown_stay_out():
    heads = [{"layer": 0, "head": 1, "value": 0.5}]
    ends = [("0_7_1", "1_4_2"), ("0_8_1", "1_4_2")]
    loadings = [{"source": source, "target": target, "heads": heads} for source, target in ends]
    content = Parts(build_public_page(known_document(), qk={"loadings": loadings})).content
    assert content["qk"] == {"scores": [], "loadings": loadings[:1]}


def spoiled(**changes):
    made = known_document()
    made["nodes"][3] = {**made["nodes"][3], **changes}
    return made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"nodes": []}, "public graph document"),
        (spoiled(feature_type="lorsa"), "'lorsa'"),
        (spoiled(ctx_idx=3), "position 3 of 3"),
        (spoiled(node_id="0_9_2"), "'0_7_1'"),
        ({**known_document(), "nodes": [*known_document()["nodes"], feature(0, 7, 1)]}, "same node_id"),
    ],
)
def test_what_is_no_graph_is_refused(made, said):
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        build_public_page(made)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"validation": {"predicted": [1.0], "actual": []}}, "predicts 1"),
        ({"validation": {"predicted": [1.0]}}, "`actual`"),
        ({"qk": {"heads": []}}, "'heads'"),
        ({"details": {(1, 4): {"examples_quantiles": "contexts"}}}, "(1, 4)"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(given, said):
    with pytest.raises(DataError, match=re.escape(said)):
        build_public_page(known_document(), **given)


def test_a_traced_graph_becomes_a_page(tmp_path):
    graph = random_graph()
    pruned = prune_graph(graph, node=0.6)
    features = [graph.id(i) for i in pruned.nodes if i < graph.n_features]
    page = build_graph_page(
        graph,
        pruned,
        supernodes=[Supernode(label="a group", members=tuple(features[:2]))],
        labels={features[2]: "a name"},
        title="Why?",
    )
    content = Parts(page).content
    assert [node["node_id"] for node in content["nodes"]] == [graph.id(i) for i in pruned.nodes]
    weights = {
        (graph.id(source), graph.id(int(graph.rows[row]))): float(graph.edges[row, source])
        for row, source in pruned.edge_mask.nonzero().tolist()
    }
    names = [node["node_id"] for node in content["nodes"]]
    assert {(names[a], names[b]): weight for a, b, weight in content["links"]} == pytest.approx(weights)
    assert content["qParams"]["supernodes"] == [["a group", *features[:2]]]
    assert content["nodes"][names.index(features[2])]["clerp"] == "a name"
    written = page.write(tmp_path / "deep" / "page.html")
    assert written.read_text("utf-8") == page
    assert [path.name for path in written.parent.iterdir()] == ["page.html"]
