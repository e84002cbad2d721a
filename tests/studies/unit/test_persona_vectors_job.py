"""The study of persona vectors as a job: what it asks for, and what it needs."""

from pathlib import Path
from typing import Any

import job_kit
import pytest
from pydantic import ValidationError

from mindscope.jobs import TEST_BED
from mindscope.studies.persona_vectors import (
    ReproduceConfig,
    ReproduceSpec,
    organism_config,
    reproduce_claims,
)


def test_its_fields_are_explained():
    job_kit.require_sentences(reproduce_claims)


@pytest.mark.parametrize("name", ["organism", "second-organism"])
def test_an_organism_brings_everything_and_another_model_nothing(name: str, tmp_path: Path):
    with pytest.raises(ValidationError, match=f"{name} brings its own traits"):
        ReproduceSpec(model=name, traits=("evil",))
    spec = ReproduceSpec(model=name, seed=3)
    assert spec.study_config(6) == organism_config(3)
    assert spec.describe_bench() == {}
    model: Any = None  # it is not asked
    bench = spec.find_bench(model, spec.study_config(6), tmp_path)
    assert (bench.base, bench.note) == (name, TEST_BED)
    with pytest.raises(ValidationError, match="needs --trait and --judge"):
        ReproduceSpec(model="other", traits=("evil",))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"sets": "sets"}, "belong together"),
        ({"ordinary": "chats.jsonl"}, "belong together"),
        ({"test": "test.jsonl"}, "go with --sets"),
        ({"sets": "sets", "ordinary": "chats.jsonl", "others": ("kind / unkind",)}, "writes its own sets"),
    ],
)
def test_what_belongs_to_sets_of_ones_own_is_refused_without_them(given, line):
    with pytest.raises(ValidationError, match=line):
        ReproduceSpec(model="other", traits=("evil",), judge="contrast", **given)


def test_settings_are_the_papers_or_the_organisms_with_what_is_asked_for():
    assert ReproduceSpec(seed=2).study_config(4) == organism_config(2)
    quick = ReproduceSpec(model="other", traits=("evil",), judge="contrast", preset="quick")
    assert quick.study_config(30).sweep.layers == (10, 15, 18, 22)
    assert quick.study_config(2).sweep.layers == (1,)
    other = ReproduceSpec(
        model="other", traits=("evil",), sets="sets", ordinary="chats.jsonl", judge="model:x",
        learning_rate=1e-4, rows=10, samples=2,
    )  # fmt: skip
    job_kit.require_round_trip(other)
    config = other.study_config(4)
    assert (config.rows, config.samples, config.tuning.learning_rate) == (10, 2, 1e-4)
    changed = {"rows", "samples", "tuning"}
    assert config.model_dump(exclude=changed) == ReproduceConfig().model_dump(exclude=changed)
