"""The page: whole, self-contained, and safe whatever the models said."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindscope.reports import (
    AnswerCard,
    AnswerSample,
    CurveLine,
    Report,
    bars_by_layer,
    heatmap,
    lines_with_bands,
)

ATTACKS = [
    "<script>alert(1)</script>",
    "</p><img src=https://evil.example/x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "--><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "]]></svg><iframe src=//x>",
    "{{ 7 * 7 }}{% raw %}",
    "$\\frac{1}{$",
]


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data + "\n"


def full(text: str) -> Report:
    """A page that shows `text` in every place that takes text."""
    report = Report(text, text).section(text, text).text(text).note(text)
    report.figure(lines_with_bands([CurveLine(text, [1, 2])], [0, 1], text, text, title=text), text)
    report.figure(bars_by_layer({text: [1.0], "b": [2.0]}, text, title=text), text)
    report.figure(heatmap([[1.0]], [text], [text], xlabel=text, ylabel=text, title=text), text)
    report.table([text], [[text]], text)
    report.samples([AnswerSample(text, [AnswerCard(text, text, {text: 50.0}, text, text)])], text)
    return report.facts({text: text})


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_shown_becomes_markup(attack):
    harmless, page = Page(full("harmless").html()), Page(full(attack).html())
    assert page.tags.count("img") == page.tags.count("script") == page.tags.count("iframe") == 0
    # Matplotlib draws as many tags for any text; nothing may be added by what the text says.
    assert len(page.tags) == len(harmless.tags)
    assert {name for name, _ in page.attributes} == {name for name, _ in harmless.attributes}
    assert page.text.count(attack) >= 15


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_answer_is_shown_as_it_is(text):
    report = Report("t").samples([AnswerSample("q", [AnswerCard("a", text)])])
    page = Page(report.html())
    assert not text.strip() or text in page.text


def test_reasoning_is_folded_away_beside_its_answer():
    answers = [AnswerCard("a", "Oslo.", reasoning="Norway, then."), AnswerCard("b", "Lima.")]
    html = Report("t").samples([AnswerSample("q", answers)]).html()
    assert html.count("<details") == 1
    assert html.index("Norway, then.") < html.index("Oslo.")


def test_nothing_is_asked_from_the_network():
    html = full("x").html()
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import|<link|<script", html)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert f'Content-Security-Policy" content="{policy}"' in html
    page = Page(html)
    targets = [value for name, value in page.attributes if name.endswith(("href", "src"))]
    assert targets
    assert all(value.startswith("#") for value in targets)
    ids = {value for name, value in page.attributes if name == "id"}
    assert {value.removeprefix("#") for value in targets} <= ids


def test_page_structure_and_numbers(tmp_path):
    report = Report("Evil", "a vector")
    for title in ("One", "Two", "Three"):
        report.section(title)
    report.table(
        ["trait", "score", "count"], [["evil", 91.25, 1200], ["humorous", None, -3], ["x", float("nan"), 5]]
    )
    report.facts({"layers": (1, 2), "ok": True, "lr": 0.00012, "config": {"k": 1}})
    path = report.write(tmp_path / "report.html")
    html = path.read_text("utf-8")
    assert html.startswith("<!doctype html>")
    page = Page(html)
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == 3
    assert page.tags.count("nav") == 1
    cells = re.findall(r"<td class=\"(.)\">(.*?)</td>", html)
    assert cells == [
        ("l", "evil"), ("r", "91.2"), ("r", "1\u202f200"),
        ("l", "humorous"), ("r", "–"), ("r", "\N{MINUS SIGN}3"),
        ("l", "x"), ("r", "–"), ("r", "5"),
    ]  # fmt: skip
    assert re.findall(r"<dd>(.*?)</dd>", html) == ["1, 2", "yes", "0.00012", "k 1"]


def test_numbers_of_a_column_are_rounded_alike():
    html = Report("t").table(["a", "b", "c"], [[91.0, 0.5, 1e-7], [4.25, 1.25, 0.0]]).html()
    assert re.findall(r"<td class=\"r\">(.*?)</td>", html) == [
        "91.0",
        "0.50",
        "1e\N{MINUS SIGN}07",
        "4.2",
        "1.25",
        "0",
    ]


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Report("t").table(["a", "b"], [[1]])


def test_empty_table_and_empty_page():
    assert "<td" not in Report("t").table(["a", "b"], []).html()
    assert Report("t").html().count("<section") == 0


def test_samples_are_folded_and_missing_scores_are_no_zero():
    samples = [
        AnswerSample(f"q{n}", [AnswerCard("a", "", {"evil": None, "coherence": 140.0})]) for n in range(5)
    ]
    html = Report("t").samples(samples, shown=2).html()
    assert html.count('class="sample"') == 5
    before, after = html.split("<details>")
    assert before.count('class="sample"') == 2
    assert "3 more" in after
    assert html.count("no score") == 5
    assert "--at: 100.0%" in html
    assert "no text" in html


def test_figures_follow_the_theme():
    html = Report("t").figure(lines_with_bands([CurveLine("a", [1, 2])], [0, 1], "x", "y"), "c").html()
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "var(--c1)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert 'aria-label="c"' in svg
    assert svg == full_svg()


def full_svg() -> str:
    html = Report("t").figure(lines_with_bands([CurveLine("a", [1, 2])], [0, 1], "x", "y"), "c").html()
    return html[html.index("<svg") : html.index("</svg>")]
