"""Parquet: rows in batches of columns."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mindscope.data.files.base import FileKind, FileRecord, whole_row
from mindscope.errors import DataError

_BATCH = 1024


def read_parquet(path: Path) -> Iterator[FileRecord]:
    """The rows of a file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield whole_row(number, row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({str(error).splitlines()[0]})") from None


def copy_parquet(source: Path, target: Path, passes: Callable[[int], bool]) -> int:
    """Write the rows that pass, with the schema of the file."""
    import pyarrow as pa
    from pyarrow import parquet

    number = count = 0
    with (
        parquet.ParquetFile(source) as file,
        parquet.ParquetWriter(target, file.schema_arrow) as writer,
    ):
        for batch in file.iter_batches(batch_size=_BATCH):
            mask = pa.array([passes(number + i) for i in range(1, len(batch) + 1)])
            number += len(batch)
            kept = batch.filter(mask)
            count += len(kept)
            writer.write_batch(kept)
    return count


PARQUET = FileKind("Parquet", (".parquet",), read_parquet, copy_parquet, compresses=False)
