"""What a command prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from mindscope.cli.visible import as_visible
from mindscope.jobs import Reporter
from mindscope.store import plain

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

PLAIN_WIDTH = 160
PLAIN_PAUSE = 5.0
"""Seconds between two lines of progress where there is no terminal."""


def print_text(text: object, *, end: str = "\n") -> None:
    """Print a part of a result for people. What it holds of a model or a file cannot steer the terminal."""
    typer.echo(as_visible(str(text)) + end, nl=False)


def print_json(value: Any) -> None:
    """Print a result for a machine."""
    print_text(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a result for people: numbers to the right, None as a dash."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    shown = Text(as_visible(title)) if title else None
    table = Table(box=box.SIMPLE_HEAD, title=shown, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        cells = [row[index] for row in rows if row[index] is not None]
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        table.add_column(Text(as_visible(column)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def print_records(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows that have the same keys as a table; nothing where there are none."""
    if rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows], title)


def say(text: str) -> None:
    """Tell a person something that is not a result."""
    typer.echo(as_visible(text), err=True)


def print_error(message: str, *, kind: str, as_json: bool) -> None:
    """Print what went wrong and how to mend it: one red line, or JSON."""
    if as_json:
        say(json.dumps({"error": message, "kind": kind}, ensure_ascii=False))
        return
    headline, *details = message.splitlines() or [""]
    typer.secho(f"error: {as_visible(headline)}", fg="red", err=True)
    for line in details:
        say(line)


class _TerminalReporter:
    """Tells a person at a terminal: a bar for progress, a line on stderr for what is said."""

    def __init__(self, report: Callable[[int, int, str], None]) -> None:
        self._report = report

    def progress(self, done: int, total: int, label: str) -> None:
        self._report(done, total, label)

    def say(self, text: str) -> None:
        say(text)


@contextmanager
def terminal_reporter() -> Iterator[Reporter]:
    """Who tells the person at this terminal how a job goes."""
    with progress() as report:
        yield _TerminalReporter(report)


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """Hand out `report(done, total, label)`: a bar on a terminal, a line every few seconds elsewhere."""
    if sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _ProgressLines()


@contextmanager
def _bars() -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    tasks: dict[str, Any] = {}
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
    ) as bars:

        def report(done: int, total: int, label: str) -> None:
            label = as_visible(label)
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield report


class _ProgressLines:
    """Progress as plain lines: the first, the last, and one every few seconds of each task."""

    def __init__(self) -> None:
        self._label = ""
        self._began = self._said = 0.0
        self._from = 0

    def __call__(self, done: int, total: int, label: str) -> None:
        now = time.monotonic()
        new = label != self._label
        if new:
            self._label, self._began, self._from = label, now, done
        if not new and done < total and now - self._said < PLAIN_PAUSE:
            return
        self._said = now
        line = f"{label} {done}/{total}"
        if self._from < done < total:
            seconds = (now - self._began) / (done - self._from) * (total - done)
            line += f", {_duration(seconds)} left"
        elif done >= total and not new:
            line += f", {_duration(now - self._began)}"
        say(line)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else as_visible(str(value))
