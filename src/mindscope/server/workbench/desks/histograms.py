"""How a screening's scores are spread along each trait, beside those of its reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from mindscope.screening import ScreeningResult

if TYPE_CHECKING:
    import numpy as np

TABLE = "scores.parquet"
REFERENCE = "reference.parquet"
BINS = 40


class HistogramBin(BaseModel):
    """Shares of the samples between two values of dP."""

    low: float
    high: float
    data: float
    reference: float | None
    """None without one, or where it was screened by an earlier version."""


class TraitHistogram(BaseModel):
    """How the samples' dP are spread along one trait."""

    trait: str
    bins: list[HistogramBin]


def read_histograms(folder: Path, result: ScreeningResult) -> list[TraitHistogram]:
    """The samples' dP in bins of equal width, and beside it the reference's."""
    has_reference = (folder / REFERENCE).is_file()
    histograms: list[TraitHistogram] = []
    for trait in result.traits:
        dp = _read_column(folder / TABLE, f"{trait.trait}_dp")
        other = _read_column(folder / REFERENCE, f"{trait.trait}_dp") if has_reference else None
        histograms.append(TraitHistogram(trait=trait.trait, bins=bin_scores(dp, other)))
    return histograms


def _read_column(table: Path, name: str) -> np.ndarray:
    """The numbers of a column, without those that are not there."""
    from pyarrow import parquet

    return parquet.read_table(table, columns=[name]).column(name).drop_null().to_numpy()


def bin_scores(dp: np.ndarray, reference: np.ndarray | None) -> list[HistogramBin]:
    """Shares of some scores in bins of equal width over all of them; no bins where there are no scores."""
    import numpy as np

    both = dp if reference is None else np.concatenate([dp, reference])
    if not len(both):
        return []
    low, high = float(both.min()), float(both.max())
    edges = np.linspace(low, high if high > low else low + 1, min(BINS, max(8, len(dp) // 2)) + 1)

    def shares(values: np.ndarray) -> list[float]:
        return (np.histogram(values, edges)[0] / max(1, len(values))).tolist()

    of_data = shares(dp)
    of_reference = None if reference is None else shares(reference)
    return [
        HistogramBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            data=of_data[i],
            reference=None if of_reference is None else of_reference[i],
        )
        for i in range(len(of_data))
    ]
