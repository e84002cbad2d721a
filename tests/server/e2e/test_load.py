"""Twenty seconds of what `benchmarks/server_load.py` does for minutes."""

import load_kit
import pytest

SECONDS = 20.0
MOST_GROWTH = 0.10
"""Twice what is held over minutes, where the allocator has come to rest: here it warms up for ten seconds."""


@pytest.mark.slow
def test_a_loaded_server_loses_no_row_and_does_not_grow(tmp_path):
    log = str(tmp_path / "log.sqlite")
    with load_kit.server_process("organism", "--log", log, "--prefix-tokens", "512", "--slots", "8") as (
        port,
        process,
    ):
        figures = load_kit.put_load(port, process, SECONDS, 8)
    assert figures.wrong == []
    assert len(figures.answers) > 20
    assert figures.monitored
    assert figures.statuses[0]  # some clients left
    assert load_kit.lost_rows(log, figures) == (0, 0)
    assert figures.growth(SECONDS / 2) < MOST_GROWTH
