"""The study of known circuits as a command, on a tiny random model that knows its names as single tokens."""

import json
from pathlib import Path

import pytest
import study_kit

from mindscope.cli import main
from mindscope.studies.known_circuits import KnownCircuits
from mindscope.studies.known_circuits.prompts import KNOWN


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study_kit.write_word_model(tmp_path_factory.mktemp("tiny"))


def run_command(command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0


def test_the_study_runs_goes_on_and_says_what_fails(folder, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["circuit", "known", str(folder), "--run", str(run), "--nodes", "20", "--patched", "1"]
    command += ["--held", "10", "--json"]
    run_command(command)
    printed = json.loads(capsys.readouterr().out)
    saved = KnownCircuits.load(run / "known-circuits.json")
    assert KnownCircuits.model_validate(printed["result"]) == saved
    assert [traced.name for traced in saved.traced] == [prompt.name for prompt in KNOWN]
    assert saved.swap.right.n == 30
    assert (
        saved.swap.swapped.n == saved.swap.random.n <= saved.swap.right.hits
    )  # what it cannot do is not moved
    assert not any(claim.holds for claim in saved.claims() if "exchanging" in claim.statement)
    page = (run / "report.html").read_text()
    assert "Names exchanged" in page
    assert "NO" in page
    (run / "heads.json").unlink()  # as if it had been killed there
    run_command(command)
    assert KnownCircuits.load(run / "known-circuits.json") == saved
