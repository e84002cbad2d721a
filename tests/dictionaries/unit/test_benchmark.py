"""The benchmark runs, and prints what it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "dictionary.py"


@pytest.mark.slow
def test_steps_and_reading_are_given_as_ratios():
    command = [sys.executable, str(SCRIPT), "--small", "--rounds", "1", "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ratios = {name: value for name, value in result.items() if not name.endswith("_ms")}
    assert ratios.keys() == {"small_topk_step", "small_batchtopk_step", "reading"}
    assert all(value > 0.5 for value in ratios.values())
