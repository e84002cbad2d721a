"""Studies of trained toys at sizes that take a second or two."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mindscope.jobs import RunFolder, SilentReporter
from mindscope.studies.common import StudyReport, ToyTraining
from mindscope.studies.superposition import SuperpositionConfig, SuperpositionSpec, study_superposition
from mindscope.studies.superposition import config as superposition
from mindscope.studies.superposition.config import GeometryConfig, PhaseConfig

SHORT = ToyTraining(steps=20, samples=32, learning_rate=1e-2, cosine=True)
TINY_SUPERPOSITION = SuperpositionConfig(
    seeds=2,
    set_seeds=2,
    computing_seeds=2,
    small=SHORT,
    phase=PhaseConfig(cells=3, starts=2, seeds=2, training=SHORT),
    geometry=GeometryConfig(features=12, hidden=4, densities=(1.0, 0.3, 0.1), seeds=2, training=SHORT),
    computing=SHORT,
    computing_densities=(1.0, 0.1, 0.01),
)


@contextmanager
def tiny_superposition() -> Iterator[None]:
    """The preset quick is tiny in here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(superposition, "PRESETS", {"quick": TINY_SUPERPOSITION})
        yield


def run_tiny_superposition(path: Path) -> StudyReport:
    """Run it, or go on with it, at `path`."""
    with tiny_superposition():
        return study_superposition(SuperpositionSpec(), run=RunFolder(path), reporter=SilentReporter())
