"""The benchmarks run, and print what they promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def run(script: str, *options: str) -> dict:
    command = [sys.executable, str(BENCHMARKS / script), "--answers", "4", "--tokens", "3", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_generation_prints_overheads():
    result = run("generation.py", "--rounds", "1", "--json", "--requests", "12", "--slots", "4")
    assert {
        "steered_overhead_percent",
        "read_overhead_percent",
        "times_faster_than_transformers",
    } <= result.keys()
    assert result["tokens_per_second"] > 0
    assert result["times_fewer_steps"] > 1
    assert result["times_the_steps_of_an_ideal_refill"] < 1.3
    assert result["milliseconds_to_compile_the_edits"] > 0


@pytest.mark.slow
def test_capture_measures_time_and_memory():
    result = run("capture.py", "--only", "our extraction")
    assert result["seconds"] > 0
    assert result["megabytes"] >= 0
