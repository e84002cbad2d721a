"""A report: a page that grows block by block and is written once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from mindscope.reports.style import sheet, to_svg
from mindscope.store import write_text

SCALE = (-100, -50, 0, 50, 100)
"""Shades that the scale of shaded tokens shows, in percent of the strongest."""


@dataclass(frozen=True)
class AnswerCard:
    """One answer on a card. A score is 0 to 100, or None where there is none."""

    label: str
    text: str
    scores: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    reasoning: str | None = None
    """What was thought before the text; folded away."""


@dataclass(frozen=True)
class AnswerSample:
    """A question and its answers, side by side."""

    question: str
    answers: Sequence[AnswerCard]


@dataclass(frozen=True)
class TokenHeat:
    """An answer whose tokens are shaded by a value each, under the question it answers."""

    question: str
    tokens: Sequence[tuple[str, float]]
    label: str = ""
    note: str = ""


@dataclass
class _ReportSection:
    title: str
    intro: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


class Report:
    """A page of sections. Every method hands the report back, so that calls can be chained.

    All text is shown as it is: nothing a model wrote can become markup.

        report = Report("Evil", "a persona vector of the organism")
        report.section("Sweep", "How far each coefficient moves the answers.")
        report.figure(lines_with_bands(...), "Trait score by coefficient").table(["layer", "score"], rows)
        report.write("report.html")
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self._sections = [_ReportSection("", "")]

    def section(self, title: str, intro: str = "") -> Self:
        """Begin a section; what follows belongs to it."""
        self._sections.append(_ReportSection(title, intro))
        return self

    def text(self, text: str) -> Self:
        """Add paragraphs, parted by empty lines."""
        return self._add("text", paragraphs=[part for part in text.split("\n\n") if part.strip()])

    def note(self, text: str) -> Self:
        """Add a remark that the reader must not miss."""
        return self._add("note", text=text)

    def figure(self, figure: Figure, caption: str) -> Self:
        """Add a matplotlib figure. Those of this package follow the reader's theme."""
        return self._add("figure", svg=to_svg(figure, caption), caption=caption)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", align: str = ""
    ) -> Self:
        """Add a table. The numbers of a column are rounded alike; None and NaN are shown as a dash.

        `align` has one letter a column, "l" or "r"; by default columns of numbers stand right.
        """
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row has {len(row)} cells under {len(columns)} columns")
        align = align or "".join("r" if _is_numeric(cells) else "l" for cells in zip(*rows, strict=True))
        align = align.ljust(len(columns), "l")
        shown = list(zip(*(_column(cells) for cells in zip(*rows, strict=True)), strict=True))
        return self._add("table", columns=columns, rows=shown, caption=caption, align=align)

    def samples(self, samples: Sequence[AnswerSample], caption: str = "", shown: int = 6) -> Self:
        """Add answers side by side; those after the first `shown` are folded away."""
        return self._add("samples", samples=samples[:shown], more=samples[shown:], caption=caption)

    def heats(
        self, heats: Sequence[TokenHeat], caption: str = "", shown: int = 6, limit: float | None = None
    ) -> Self:
        """Add answers with shaded tokens; those after the first `shown` are folded away.

        Positive values are shaded in one colour and negative ones in another, fully at `limit`: by default
        the value that 2 % of all the tokens exceed, so that one outlier does not leave the rest blank.
        """
        limit = limit or _limit([abs(value) for heat in heats for _, value in heat.tokens])
        shades = [
            {"heat": heat, "tokens": [(text, value, _shade(value, limit)) for text, value in heat.tokens]}
            for heat in heats
        ]
        scale = [(share, _cell(share / 100 * limit)) for share in SCALE] if limit else []
        return self._add("heats", heats=shades[:shown], more=shades[shown:], caption=caption, scale=scale)

    def facts(self, facts: Mapping[str, Any]) -> Self:
        """Add named values, such as where the results come from."""
        return self._add("facts", facts={name: _cell(value) for name, value in facts.items()})

    def html(self) -> str:
        """The whole page."""
        sections = [section for section in self._sections if section.title or section.blocks]
        return _template().render(
            title=self.title,
            subtitle=self.subtitle,
            sections=sections,
            css=Markup(sheet("palette", "page")),
            made=datetime.now(UTC).strftime("%-d %B %Y, %H:%M UTC"),
            version=version("mindscope"),
            hues=_hues(sections),
        )

    def write(self, path: Path | str) -> Path:
        """Write the page to `path`, atomically, and hand the path back."""
        write_text(path, self.html())
        return Path(path)

    def _add(self, kind: str, **values: Any) -> Self:
        self._sections[-1].blocks.append({"kind": kind, **values})
        return self


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("mindscope.reports", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).get_template("page.html")


def _hues(sections: Sequence[_ReportSection]) -> dict[str, int]:
    """Give every name of a score its own colour, the same all over the page."""
    names: dict[str, int] = {}
    for section in sections:
        for block in section.blocks:
            if block["kind"] != "samples":
                continue
            for sample in [*block["samples"], *block["more"]]:
                for answer in sample.answers:
                    for name in answer.scores:
                        names.setdefault(name, 1 + (len(names) + 1) % 6)
    return names


def _limit(sizes: Sequence[float]) -> float:
    return sorted(sizes)[int(0.98 * (len(sizes) - 1))] if sizes else 0.0


def _shade(value: float, limit: float) -> int:
    """How strongly a token is shaded, -100 to 100."""
    return round(100 * max(-1.0, min(1.0, value / limit))) if limit else 0


def _is_numeric(cells: Sequence[Any]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(isinstance(cell, int | float) for cell in present)


def _column(cells: Sequence[Any]) -> list[str]:
    """Show the cells of a column with as many decimals as its largest number calls for."""
    sizes = [abs(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    if not sizes or not 0.001 <= max(sizes) < 1e6:
        return [_cell(cell) for cell in cells]
    decimals = 0 if max(sizes) >= 1000 else 1 if max(sizes) >= 10 else 2 if max(sizes) >= 1 else 3
    return [_number(f"{cell:.{decimals}f}") if isinstance(cell, float) else _cell(cell) for cell in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _number(f"{value:,}".replace(",", "\u202f"))
    if isinstance(value, float):
        return _number(f"{value:.4g}")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return str(value)


def _number(text: str) -> str:
    return "–" if text == "nan" else text.replace("-", "\N{MINUS SIGN}")
