"""A training killed with SIGKILL at a step, at a checkpoint, or at its last file ends with the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from finetune_kit import PREVENT, tune, vectors

from mindscope.models import Model


def kills_at(model: Model, folder: Path, *events: int) -> list[bool]:
    """Trains once for each event, in a process that kills itself there; whether each was met.

    These are forks of a process that begins with nothing: in a fork of this one a lock that another thread
    holds here would never be let go.
    """
    code = "import sys; from finetune_kit import tune_and_die; tune_and_die(*sys.argv[1:])"
    arguments = [model.name, str(folder), PREVENT.model_dump_json(), *map(str, events)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_and_resumed_ends_with_the_same_bytes(tiny, tmp_path):
    whole = tune(tiny, tmp_path / "whole", PREVENT, vectors=[vectors(tiny)])
    kills = kills_at(tiny, tmp_path / "run", 3, 2, 1, 3)  # step, save, step, last file
    assert kills == [True] * 4  # after a step, before a mark, after a step again, before the last file
    resumed = tune(tiny, tmp_path / "run", PREVENT, vectors=[vectors(tiny)])
    for name in ("adapter_model.safetensors", "adapter_config.json", "mindscope.json"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
    named = json.loads((whole.path / "adapter_config.json").read_text())["target_modules"]
    assert named == sorted(named)  # and not in the order of a set, another in every process
    assert [each.name for each in resumed.checkpoints] == [f"checkpoint-{step}" for step in (1, 2, 3)]
    assert not list((tmp_path / "run").rglob("*.tmp"))
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {1, 2, 3}
    assert all({"loss", "lr", "penalty"} <= line.keys() for line in lines)
