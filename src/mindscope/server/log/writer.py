"""Writing the monitor's log: one thread, one transaction for all that waits, told when it is on disk.

An answer is not told to its client before its rows are committed. So a row of an answer that somebody has
seen survives whatever happens to the process: SQLite runs with a write-ahead log and full synchronisation,
PostgreSQL with synchronous commits. Several servers may keep one log in PostgreSQL.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Insert, Table, create_engine, delete, event, insert, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mindscope.errors import StoreError
from mindscope.server.log.tables import CONVERSATIONS, EVENTS, METADATA, READINGS, TURNS

Row = Mapping[str, Any]

SECONDS_A_DAY = 86_400.0
_PRUNE_SECONDS = 3600.0
"""Between two deletions of old rows."""
_AT_ONCE = 256
"""Turns of one transaction: enough for all that end in a step, and few enough to be quick."""


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One answer as rows.

    Attributes:
        conversation: which one it belongs to.
        turn: the row of `turns`, but for the conversation.
        readings: rows of `readings`, but for the turn.
        events: the same of `events`.
    """

    conversation: str
    turn: Row
    readings: tuple[Row, ...] = ()
    events: tuple[Row, ...] = ()


def log_url(text: str) -> URL:
    """The database that a text means: a file of SQLite, an SQLAlchemy URL, or `env:NAME` for a variable.

    Raises:
        StoreError: it is none.
    """
    if text.startswith("env:"):
        text = os.environ.get(text.removeprefix("env:"), "")
    if "://" not in text:
        if not text or text == ":memory:":
            raise StoreError("the log needs a file or a database's URL, such as monitor.sqlite")
        return URL.create("sqlite", database=str(Path(text).absolute()))
    try:
        return make_url(text)
    except ArgumentError as error:
        raise StoreError(
            "the log's URL is none that SQLAlchemy reads: postgresql+psycopg://HOST/NAME"
        ) from error


def open_database(text: str) -> Engine:
    """The database, with its tables.

    Raises:
        StoreError: it cannot be opened, or its driver is not installed.
    """
    url = log_url(text)
    try:
        # A connection that the database has dropped is noticed before it is written to.
        engine = create_engine(url, pool_pre_ping=True)
        if (settle := _SETTLE.get(engine.dialect.name)) is not None:
            event.listen(engine, "connect", settle)
        _create_tables(engine)
    except ModuleNotFoundError as error:
        brought = "'mindscope[server]'" if error.name == "psycopg" else error.name
        raise StoreError(f"the log's database needs {error.name}: pip install {brought}") from error
    except SQLAlchemyError as error:
        shown = url.render_as_string(hide_password=True)
        raise StoreError(f"the log {shown} cannot be opened: {_line(error)}") from error
    return engine


def _create_tables(engine: Engine) -> None:
    try:
        METADATA.create_all(engine)
    except SQLAlchemyError:  # another server has just made some of them
        METADATA.create_all(engine)


def _settle_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _settle_postgresql(connection: Any, _record: object) -> None:
    """Wait for the disk at every commit, whatever the database's own setting is."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
    connection.commit()  # else the setting would go with the transaction that it began


_SETTLE = {"sqlite": _settle_sqlite, "postgresql": _settle_postgresql}
"""What is done with a new connection, by the kind of database."""


class MonitorLog:
    """The log of one server.

    Args:
        database: a file of SQLite or an SQLAlchemy URL, see `log_url`.
        retention_days: days after which rows are deleted; None for never.
    """

    def __init__(self, database: str, *, retention_days: float | None = None):
        self.engine = open_database(database)
        self._retention = retention_days
        self._queue: queue.SimpleQueue[tuple[LoggedTurn, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mindscope-log", daemon=True)
        self.n_written = 0
        self._pruned = 0.0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self.engine.dispose()

    def write(self, turn: LoggedTurn) -> Future[None]:
        """Hand over a turn; the future is done when its rows are committed, or holds why they are not."""
        done: Future[None] = Future()
        self._queue.put((turn, done))
        return done

    def prune(self, older_than: float) -> int:
        """Delete turns of before a time (seconds since 1970) and what hangs on them; how many there were."""
        with self.engine.begin() as connection:
            old = select(TURNS.c.id).where(TURNS.c.created < older_than)
            for table in (READINGS, EVENTS):
                connection.execute(delete(table).where(table.c.turn.in_(old)))
            n_turns = connection.execute(delete(TURNS).where(TURNS.c.created < older_than)).rowcount
            kept = select(TURNS.c.conversation)
            stale = CONVERSATIONS.c.id.not_in(kept) & (CONVERSATIONS.c.started < older_than)
            connection.execute(delete(CONVERSATIONS).where(stale))
        return n_turns

    def _run(self) -> None:
        while True:
            self._prune_sometimes()
            try:
                first = self._queue.get(timeout=_PRUNE_SECONDS)
            except queue.Empty:
                continue
            batch, open_ = ([first], True) if first is not None else ([], False)
            while open_ and len(batch) < _AT_ONCE and not self._queue.empty():
                following = self._queue.get()
                open_ = following is not None
                batch += [] if following is None else [following]
            if batch:
                self._commit(batch)
            if not open_:
                return

    def _commit(self, batch: Sequence[tuple[LoggedTurn, Future[None]]]) -> None:
        try:
            with self.engine.begin() as connection:
                _insert(connection, [turn for turn, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits for the rows hears of it
            if len(batch) > 1:  # one that cannot be written takes no other with it
                for single in batch:
                    self._commit([single])
                return
            batch[0][1].set_exception(error)
            return
        self.n_written += len(batch)
        for _, done in batch:
            done.set_result(None)

    def _prune_sometimes(self) -> None:
        if self._retention is None or time.time() - self._pruned < _PRUNE_SECONDS:
            return
        self._pruned = time.time()
        try:
            self.prune(time.time() - self._retention * SECONDS_A_DAY)
        except SQLAlchemyError:
            return  # tried again in an hour; writing says what is wrong with the database


def _insert(connection: Connection, turns: Sequence[LoggedTurn]) -> None:
    """All rows of some turns, in one statement a table."""
    _begin_conversations(connection, turns)
    rows: dict[str, Sequence[Row]] = {
        "turns": [{**turn.turn, "conversation": turn.conversation} for turn in turns],
        "readings": [{**row, "turn": turn.turn["id"]} for turn in turns for row in turn.readings],
        "events": [{**row, "turn": turn.turn["id"]} for turn in turns for row in turn.events],
    }
    for table in (TURNS, READINGS, EVENTS):
        if rows[table.name]:
            connection.execute(insert(table), [_spelled(row) for row in rows[table.name]])


def _begin_conversations(connection: Connection, turns: Sequence[LoggedTurn]) -> None:
    """The rows of new conversations. Another server of the same log may begin one at the same time."""
    started = {turn.conversation: turn.turn["created"] for turn in reversed(turns)}
    known = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id.in_(list(started)))
    there = set(connection.execute(known).scalars())
    # In one order everywhere, so that two servers never wait for one another.
    new = [{"id": name, "started": started[name]} for name in sorted(started.keys() - there)]
    if not new:
        return
    insert_new = _INSERT_NEW.get(connection.dialect.name)
    statement = insert(CONVERSATIONS) if insert_new is None else insert_new(CONVERSATIONS)
    connection.execute(statement, new)


_INSERT_NEW: dict[str, Callable[[Table], Insert]] = {
    "sqlite": lambda table: sqlite.insert(table).on_conflict_do_nothing(),
    "postgresql": lambda table: postgresql.insert(table).on_conflict_do_nothing(),
}
"""By the kind of database: an insertion that leaves out rows which are there."""


def _spelled(row: Row) -> dict[str, Any]:
    """A row whose texts every database can hold: none has a character of number 0."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in row.items()
    }


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
