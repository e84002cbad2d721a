"""Studies of trained toys at sizes that take seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mindscope.jobs import RunFolder, SilentReporter
from mindscope.studies import double_descent, induction, superposition
from mindscope.studies.common import StudyReport, TinyConfig, ToyTraining
from mindscope.studies.double_descent import config as double_descent_config
from mindscope.studies.induction import config as induction_config
from mindscope.studies.superposition import config as superposition_config

SHORT = ToyTraining(steps=20, samples=32, learning_rate=1e-2, cosine=True)
TINY = {
    "superposition": superposition.SuperpositionConfig(
        seeds=2,
        set_seeds=2,
        computing_seeds=2,
        small=SHORT,
        phase=superposition_config.PhaseConfig(cells=3, starts=2, seeds=2, training=SHORT),
        geometry=superposition_config.GeometryConfig(
            features=12, hidden=4, densities=(1.0, 0.3, 0.1), seeds=2, training=SHORT
        ),
        computing=SHORT,
        computing_densities=(1.0, 0.1, 0.03, 0.01),
    ),
    "induction": induction.InductionConfig(
        models=tuple(
            kind.model_copy(update={"width": 16, "heads": 2, "context": 32, "seeds": 2})
            for kind in induction_config.KINDS
        ),
        vocabulary=32,
        corpus_tokens=2000,
        steps=8,
        every=2,
        held_rows=4,
    ),
    "double-descent": double_descent.DoubleDescentConfig(
        descent=double_descent.DescentConfig(
            features=16,
            density=0.1,
            samples=(3, 8, 32),
            seeds=2,
            steps=20,
            warmup=2,
            plane_hidden=(2, 4),
            plane_samples=(8, 32),
            repeats=(1, 8),
        ),
        planted=double_descent.PlantedConfig(
            model=TinyConfig(layers=1, mlp=True, width=16, heads=2, context=16, seeds=2),
            vocabulary=32,
            rows=32,
            planted=4,
            steps=3,
            batch=4,
        ),
    ),
}
"""By the name of the study."""
STUDIES = {
    "superposition": (
        superposition_config,
        superposition.SuperpositionSpec,
        superposition.study_superposition,
    ),
    "induction": (induction_config, induction.InductionSpec, induction.study_induction),
    "double-descent": (
        double_descent_config,
        double_descent.DoubleDescentSpec,
        double_descent.study_double_descent,
    ),
}


@contextmanager
def tiny_presets() -> Iterator[None]:
    """The preset quick of every study is tiny in here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, (module, _, _) in STUDIES.items():
            patch.setattr(module, "PRESETS", {"quick": TINY[name]})
        yield


def run_tiny(name: str, path: Path) -> StudyReport:
    """Run a study, or go on with it, at `path`."""
    _, spec, study = STUDIES[name]
    with tiny_presets():
        return study(spec(), run=RunFolder(path), reporter=SilentReporter())


def run_quick(name: str, path: Path) -> StudyReport:
    """The quick preset as users have it."""
    _, spec, study = STUDIES[name]
    return study(spec(), run=RunFolder(path), reporter=SilentReporter())
