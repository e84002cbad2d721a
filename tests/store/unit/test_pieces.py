"""A piece of a run is measured once."""

from pathlib import Path

import pytest

from mindscope.errors import StoreError
from mindscope.stats import Estimate, RateEstimate
from mindscope.store import Run, measure_once


def test_a_piece_is_measured_once_and_a_foreign_file_is_refused(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> RateEstimate:
        calls.append(1)
        return RateEstimate.of([True, False])

    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        first = measure_once(run, "rates/a.json", RateEstimate, measure)
        assert measure_once(run, "rates/a.json", RateEstimate, measure) == first
        assert len(calls) == 1
        with pytest.raises(StoreError, match="delete it to measure it again"):
            measure_once(run, "rates/a.json", Estimate, lambda: pytest.fail("it is there already"))
