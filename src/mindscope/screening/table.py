"""The table of all samples' scores: Parquet, written row group by row group."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindscope.screening.scores import ReferencePercentiles, WindowScores
from mindscope.store import replacing

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 4_096
"""Rows of a row group: large enough to compress well, small enough to be read alone."""


def write_table(
    path: Path,
    windows: Iterable[WindowScores],
    traits: tuple[str, ...],
    calibration: ReferencePercentiles,
    thresholds: list[float | None],
) -> None:
    """One row per sample, in the order of the data, written whole or not at all.

    Columns: row, line, id, turns, flagged (on any trait), and for each trait TRAIT_raw, TRAIT_dp,
    TRAIT_percentile, TRAIT_flag, TRAIT_turns (the dP of every assistant turn). A score is null where the base
    model said nothing.
    """
    from pyarrow import parquet

    schema = _schema(traits)
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        waiting: list[pa.Table] = []
        for scores in windows:
            waiting.append(_rows(scores, traits, calibration, thresholds, schema))
            if sum(len(part) for part in waiting) >= GROUP:
                _flush(writer, waiting)
        _flush(writer, waiting)


def write_reference(path: Path, dp: np.ndarray, traits: tuple[str, ...]) -> None:
    """The reference's samples, a column TRAIT_dp for each trait; null where the base model said nothing."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = [
        pa.array(np.ascontiguousarray(dp[:, i], np.float32), from_pandas=True) for i in range(len(traits))
    ]
    with replacing(path) as temporary:
        parquet.write_table(pa.table(columns, names=[f"{trait}_dp" for trait in traits]), temporary)


def _schema(traits: tuple[str, ...]) -> "pa.Schema":
    import pyarrow as pa

    fields = [("row", pa.int64()), ("line", pa.int64()), ("id", pa.string()), ("turns", pa.int32())]
    fields.append(("flagged", pa.bool_()))
    for trait in traits:
        fields += [(f"{trait}_{name}", pa.float32()) for name in ("raw", "dp", "percentile")]
        fields += [(f"{trait}_flag", pa.bool_()), (f"{trait}_turns", pa.list_(pa.float32()))]
    return pa.schema(fields)


def _rows(
    scores: WindowScores,
    traits: tuple[str, ...],
    calibration: ReferencePercentiles,
    thresholds: list[float | None],
    schema: "pa.Schema",
) -> "pa.Table":
    import pyarrow as pa

    readings = scores.readings
    percentiles = calibration.percentiles(scores.dp)
    limits = np.array([np.inf if part is None else part for part in thresholds])
    flags = scores.dp > limits
    offsets = np.concatenate([[0], np.cumsum(readings.counts.numpy())]).astype(np.int32)
    columns: list[pa.Array] = [
        pa.array(readings.numbers.numpy()),
        pa.array(readings.lines.numpy()),
        pa.array(readings.ids, pa.string()),
        pa.array(readings.counts.numpy().astype(np.int32)),
        pa.array(flags.any(1)),
    ]
    for i in range(len(traits)):
        columns += [
            pa.array(np.ascontiguousarray(values[:, i]), from_pandas=True)  # NaN becomes null
            for values in (scores.raw, scores.dp, percentiles)
        ]
        turns = pa.array(np.ascontiguousarray(scores.turn_dp[:, i]), from_pandas=True)
        columns += [pa.array(flags[:, i]), pa.ListArray.from_arrays(offsets, turns)]
    return pa.Table.from_arrays(columns, schema=schema)


def _flush(writer: object, waiting: "list[pa.Table]") -> None:
    import pyarrow as pa
    from pyarrow import parquet

    assert isinstance(writer, parquet.ParquetWriter)
    if waiting:
        writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=GROUP * 2)
        waiting.clear()
