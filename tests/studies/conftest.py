"""Studies that several tests look at, run once."""

from pathlib import Path

import pytest
import study_kit

from mindscope.studies.superposition import SuperpositionStudy


@pytest.fixture(scope="session")
def small_superposition_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run of the study of superposition."""
    path = tmp_path_factory.mktemp("superposition") / "run"
    study_kit.run_tiny_superposition(path)
    return path


@pytest.fixture(scope="session")
def small_superposition(small_superposition_run: Path) -> SuperpositionStudy:
    """What it measured."""
    return SuperpositionStudy.load(small_superposition_run / "superposition.json")
