"""A copy of a data set without some of its rows: same format, the rows as they stand, the input untouched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindscope.data import DataFile, digest_data
from mindscope.errors import DataError
from mindscope.screening.results import ScreeningResult
from mindscope.store import Run, display_path, object_address, replacing


def check_target(data: Path | str | DataFile, target: Path) -> None:
    """Refuse a target that exists, or that has another format than the source."""
    source = DataFile.of(data).local
    if object_address(target) is not None:
        raise DataError(f"{display_path(target)}: the filtered copy is written on this machine")
    if target.exists():
        raise DataError(f"{target} exists: choose another name, or delete it")
    if source.is_dir() and target.suffix:
        raise DataError(f"{source} is a folder: the filtered copy needs a folder's name, not {target}")
    ending = DataFile(source).suffix
    if not target.name.lower().endswith(ending):
        raise DataError(f"the filtered copy keeps the format: its name must end in {ending}")


def write_filtered(
    run: Run,
    screening: ScreeningResult,
    data: Path | str | DataFile,
    target: Path | str,
    *,
    drop_above: float | None = None,
    keep_below: float | None = None,
) -> int:
    """Write the rows of `data` that pass to `target`, and return how many.

    Rows that could not be scored because they are malformed are left out. A sample that has no score, because
    the base model said nothing, passes.

    Args:
        run: the run that holds the screening.
        screening: of exactly this data.
        data: the file, folder or data set that was screened; it is only read.
        target: does not exist yet; JSON lines and CSV rows are copied byte by byte.
        drop_above: leave out samples above this percentile of the calibration, 0 to 100, on any trait.
        keep_below: keep only samples whose dP is below this on every trait, in units of the activations.

    Raises:
        DataError: the target exists or has another format, no criterion is given, or `data` has changed.
    """
    file, target = DataFile.of(data), Path(target)
    check_target(file, target)
    check_criteria(drop_above, keep_below)
    if digest_data(file) != screening.data_digest:
        raise DataError(f"{file.path} has changed since it was screened: screen it again")
    passing = _passing(run, screening, drop_above, keep_below)
    if file.local.is_dir():
        return file.copy(target, passing)
    with replacing(target) as temporary:
        return file.copy(temporary, passing)


def check_criteria(drop_above: float | None, keep_below: float | None) -> None:
    """Refuse a copy without a criterion, and a percentile that is not from 0 to 100."""
    if drop_above is None and keep_below is None:
        raise DataError("say what to leave out: above a percentile (drop_above) or all but below a dP")
    if drop_above is not None and not 0 <= drop_above <= 100:
        raise DataError(f"drop_above is a percentile, 0 to 100, not {drop_above:g}")


def _passing(
    run: Run, screening: ScreeningResult, drop_above: float | None, keep_below: float | None
) -> Callable[[int], bool]:
    """Whether the row of a number passes."""
    from pyarrow import parquet

    passing = bytearray()  # one byte a row, by number
    with parquet.ParquetFile(run.path / screening.folder / "scores.parquet") as file:
        for batch in file.iter_batches():
            out = np.zeros(len(batch), bool)
            for trait in screening.traits:  # a null reads as NaN, which is neither above nor below
                if drop_above is not None:
                    out |= batch[f"{trait.trait}_percentile"].to_numpy(zero_copy_only=False) > drop_above
                if keep_below is not None:
                    out |= batch[f"{trait.trait}_dp"].to_numpy(zero_copy_only=False) >= keep_below
            for number in batch["row"].to_numpy()[~out].tolist():
                passing.extend(bytes(number + 1 - len(passing)))
                passing[number] = 1
    return lambda number: number < len(passing) and bool(passing[number])
