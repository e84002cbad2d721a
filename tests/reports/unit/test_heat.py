"""Shaded tokens: nothing becomes markup, the sign chooses the colour, one outlier does not blank the rest."""

import re

from mindscope.reports import Report, TokenHeat


def shades(page: str) -> list[tuple[str, int]]:
    found = re.findall(r'<span(?: class="(up|down)" style="--at: (\d+)%")? title=', page)
    return [(name, int(at or 0)) for name, at in found]


def test_values_become_shades():
    heat = TokenHeat(
        "Why?", [("a", 1.0), (" <b>", -2.0), ("c", 0.0), ("d", 9.0)], label="row 1", note="own: x"
    )
    page = Report("Page").heats([heat], limit=2.0).html()
    scale = page.split('class="quiet heat scale">')[1].split("</p>")[0]
    assert re.findall(r">([^<>]+)</span>", scale) == ["\N{MINUS SIGN}2", "\N{MINUS SIGN}1", "0", "1", "2"]
    assert shades(page) == [("up", 50), ("down", 100), ("", 0), ("up", 100)]
    assert " &lt;b&gt;</span>" in page
    assert "Why?" in page
    assert "own: x" in page


def test_the_limit_leaves_out_the_largest_two_in_a_hundred():
    tokens = [("x", 1.0)] * 99 + [("y", 1000.0)]
    assert shades(Report("Page").heats([TokenHeat("?", tokens)]).html()) == [("up", 100)] * 100


def test_samples_beyond_the_first_are_folded_away():
    page = Report("Page").heats([TokenHeat(f"q{i}", [("t", 0.0)]) for i in range(5)], shown=2).html()
    assert "<summary>3 more</summary>" in page
    assert page.index("q1") < page.index("<summary>") < page.index("q2")


def test_without_values_nothing_is_shaded():
    assert shades(Report("Page").heats([TokenHeat("?", []), TokenHeat("?", [("t", 0.0)])]).html()) == [
        ("", 0)
    ]
