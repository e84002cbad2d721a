"""The monitor's log as Parquet files, a table each."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Float, Integer, select

from mindscope.errors import StoreError
from mindscope.server.log.tables import TABLES
from mindscope.server.log.writer import log_url, open_database
from mindscope.store import Document, replacing_folder

_ROWS = 10_000
"""Rows that are held at once."""


class LogExport(Document):
    """Where a log went, and how many rows each table has."""

    folder: str
    rows: dict[str, int]


def export_log(database: str, folder: Path) -> LogExport:
    """Write `conversations`, `turns`, `readings` and `events` as `.parquet` files, all or none.

    Args:
        database: a file of SQLite or an SQLAlchemy URL.
        folder: a new folder.

    Raises:
        StoreError: there is no such log, or the folder exists.
    """
    url = log_url(database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise StoreError(f"{database} is no log: name the file of `mindscope serve --log`")
    if folder.exists():
        raise StoreError(f"{folder} exists: name a new folder")
    engine = open_database(database)
    counts: dict[str, int] = {}
    with engine.connect() as connection, replacing_folder(folder) as temporary:
        for table in TABLES:
            kinds = [
                pa.float64()
                if isinstance(c.type, Float)
                else pa.int64()
                if isinstance(c.type, Integer)
                else pa.string()
                for c in table.columns
            ]
            schema = pa.schema(list(zip(table.columns.keys(), kinds, strict=True)))
            counts[table.name] = 0
            rows = connection.execution_options(yield_per=_ROWS).execute(select(table))
            with pq.ParquetWriter(temporary / f"{table.name}.parquet", schema) as writer:
                for part in rows.mappings().partitions():
                    counts[table.name] += len(part)
                    writer.write_table(pa.Table.from_pylist([dict(row) for row in part], schema))
    engine.dispose()
    return LogExport(folder=str(folder), rows=counts)
