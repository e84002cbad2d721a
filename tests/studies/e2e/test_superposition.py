"""`mindscope study superposition`: resumes to the same bytes, prints its claims; its quick preset holds."""

import json
import shutil
from pathlib import Path

import pytest
import study_kit

from mindscope.cli import main
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.studies.superposition import SuperpositionSpec, study_superposition
from mindscope.studies.superposition.config import PRESETS

UNSHOWN: set[str] = set()
"""Claims of the quick preset that do not hold; the docs say why."""


def run_command(command: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(command)
    return int(ended.value.code or 0)


def test_it_goes_on_after_a_kill_with_the_same_bytes(small_superposition_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_superposition_run, run)
    before = (run / "superposition.json").read_bytes()
    for piece in ("superposition.json", "phases.json", "geometry/0.3.json"):
        (run / piece).unlink()  # as if it had been killed there
    study_kit.run_tiny_superposition(run)
    assert (run / "superposition.json").read_bytes() == before


def test_the_command_prints_claims_and_writes_a_page(small_superposition_run, capsys):
    command = ["study", "superposition", "--run", str(small_superposition_run)]
    with study_kit.tiny_superposition():
        assert run_command([*command, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert run_command(command) == 0
    assert printed["preset"] == "quick"
    assert printed["seconds"] > 0
    holds = {claim["subject"]: claim["holds"] for claim in printed["claims"]}
    assert holds["dimensionality, n 12, m 4"] is False  # too small for plateaus, and the page says so
    page = (small_superposition_run / "report.html").read_text()
    assert page.count("<svg") >= 7
    assert "NO" in page
    assert "report:" in capsys.readouterr().out


def test_another_preset_needs_another_folder(small_superposition_run, capsys):
    command = ["study", "superposition", "--preset", "paper", "--run", str(small_superposition_run)]
    assert run_command(command) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_the_claims_of_the_quick_preset_hold(tmp_path: Path):
    """The figures of docs/studies.md; minutes on one core."""
    report = study_superposition(
        SuperpositionSpec(), run=RunFolder(tmp_path / "run"), reporter=SilentReporter()
    )
    assert PRESETS["quick"].seeds == 8
    assert {claim.subject for claim in report.claims if claim.holds is False} == UNSHOWN
