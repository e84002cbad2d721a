"""What a command prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Self

import typer

from mindscope.cli.terminal.streams import is_unicode
from mindscope.cli.terminal.visible import as_visible
from mindscope.core import RemainingTime, format_duration
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
    print_text(json.dumps(plain(value), indent=2, ensure_ascii=not is_unicode(sys.stdout.encoding)))


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


def name_count(count: int, noun: str) -> str:
    """A count with its noun: `1 change`, `2 changes`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def say(text: str) -> None:
    """Tell a person something that is not a result."""
    typer.echo(as_visible(text), err=True)


def print_error(message: str, *, kind: str, as_json: bool) -> None:
    """Print what went wrong and how to mend it: one red line, or JSON.

    Where that cannot be written, the exit code alone says it.
    """
    with suppress(OSError):
        if as_json:
            say(
                json.dumps({"error": message, "kind": kind}, ensure_ascii=not is_unicode(sys.stderr.encoding))
            )
            return
        headline, *details = message.splitlines() or [""]
        typer.secho(f"error: {as_visible(headline)}", fg="red", err=True)
        for line in details:
            say(line)


class _TerminalReporter:
    """Tells a person at a terminal: a bar for progress, a line on stderr for what is said."""

    def __init__(self, progress: _Bars | _ProgressLines) -> None:
        self.progress = progress

    def say(self, text: str) -> None:
        say(text)


@contextmanager
def terminal_reporter() -> Iterator[Reporter]:
    """Who tells the person at this terminal how a job goes."""
    with progress() as report:
        yield _TerminalReporter(report)


@contextmanager
def progress() -> Iterator[_Bars | _ProgressLines]:
    """Hand out `report(done, total, label)`: a bar on a terminal, a line every few seconds elsewhere."""
    if sys.stderr.isatty():
        with _Bars() as report:
            yield report
    else:
        yield _ProgressLines()


class _Bars:
    """Progress as bars with the time that is left, one of each task."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._tasks: dict[str, Any] = {}
        self._times: dict[str, RemainingTime] = {}
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[time]}", markup=False),
            console=Console(stderr=True),
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, done: int, total: int, label: str) -> None:
        label = as_visible(label)
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=total, time="")
            self._times[label] = RemainingTime(time.monotonic)
        self._times[label].take(done, total)
        self._bars.update(
            self._tasks[label],
            completed=done,
            total=total,
            time=_describe_time(self._times[label], done, total),
        )

    def forecast(self, seconds: float, label: str) -> None:
        """How long a task still takes, from whoever does it."""
        if (label := as_visible(label)) in self._times:
            self._times[label].forecast(seconds)


class _ProgressLines:
    """Progress as plain lines: the first, the last, and one every few seconds of each task."""

    def __init__(self) -> None:
        self._label = ""
        self._said = 0.0
        self._time = RemainingTime(time.monotonic)

    def __call__(self, done: int, total: int, label: str) -> None:
        now = time.monotonic()
        new = label != self._label
        if new:
            self._label, self._time = label, RemainingTime(time.monotonic)
        self._time.take(done, total)
        if not new and done < total and now - self._said < PLAIN_PAUSE:
            return
        self._said = now
        told = "" if new else _describe_time(self._time, done, total)
        say(f"{label} {done}/{total}" + (told and f", {told}"))

    def forecast(self, seconds: float, label: str) -> None:
        """How long a task still takes, from whoever does it."""
        if label == self._label:
            self._time.forecast(seconds)


def _describe_time(remaining: RemainingTime, done: int, total: int) -> str:
    if done >= total:
        return f"took {format_duration(remaining.elapsed)}"
    return "" if remaining.left is None else f"{format_duration(remaining.left)} left"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else as_visible(str(value))
