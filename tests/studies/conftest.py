"""Studies that several tests look at, run once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import study_kit
from once_kit import make_once

from mindscope.studies.classifiers import ClassifiersStudy
from mindscope.studies.dictionary_metrics import DictionaryMetricsStudy
from mindscope.studies.double_descent import DoubleDescentStudy
from mindscope.studies.induction import InductionStudy
from mindscope.studies.persona_space import PersonaSpaceStudy
from mindscope.studies.superposition import SuperpositionStudy


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny run of a study, by its name; one worker makes it for all."""

    @cache
    def run(name: str) -> Path:
        return make_once(tmp_path_factory, f"study-{name}", lambda path: study_kit.run_tiny(name, path))

    return run


@pytest.fixture(scope="session")
def small_superposition(tiny_study: Callable[[str], Path]) -> SuperpositionStudy:
    """What it measured."""
    return SuperpositionStudy.load(tiny_study("superposition") / "superposition.json")


@pytest.fixture(scope="session")
def small_induction(tiny_study: Callable[[str], Path]) -> InductionStudy:
    """What it measured."""
    return InductionStudy.load(tiny_study("induction") / "induction.json")


@pytest.fixture(scope="session")
def small_double_descent(tiny_study: Callable[[str], Path]) -> DoubleDescentStudy:
    """What it measured."""
    return DoubleDescentStudy.load(tiny_study("double-descent") / "double-descent.json")


@pytest.fixture(scope="session")
def small_persona_space(tiny_study: Callable[[str], Path]) -> PersonaSpaceStudy:
    """What it measured."""
    return PersonaSpaceStudy.load(tiny_study("persona-space") / "persona-space.json")


@pytest.fixture(scope="session")
def small_classifiers(tiny_study: Callable[[str], Path]) -> ClassifiersStudy:
    """What it measured."""
    return ClassifiersStudy.load(tiny_study("classifiers") / "classifiers.json")


@pytest.fixture(scope="session")
def small_dictionary_metrics(tiny_study: Callable[[str], Path]) -> DictionaryMetricsStudy:
    """What it measured."""
    return DictionaryMetricsStudy.load(tiny_study("dictionaries") / "dictionaries.json")
