"""The study of persona vectors as a job: what it asks for, and what it needs."""

import job_kit
import pytest
from pydantic import ValidationError

from mindscope.studies.persona_vectors import (
    ReproduceConfig,
    ReproduceSpec,
    organism_config,
    reproduce_claims,
)


def test_its_fields_are_explained():
    job_kit.require_sentences(reproduce_claims)


def test_the_organism_brings_everything_and_another_model_nothing():
    with pytest.raises(ValidationError, match="leave them out"):
        ReproduceSpec(traits=("evil",))
    with pytest.raises(ValidationError, match="needs --trait, --sets, --ordinary and --judge"):
        ReproduceSpec(model="other", traits=("evil",))


def test_settings_are_the_papers_or_the_organisms_with_what_is_asked_for():
    assert ReproduceSpec(seed=2).study_config() == organism_config(2)
    other = ReproduceSpec(
        model="other", traits=("evil",), sets="sets", ordinary="chats.jsonl", judge="model:x",
        learning_rate=1e-4, rows=10, samples=2,
    )  # fmt: skip
    job_kit.require_round_trip(other)
    config = other.study_config()
    assert (config.rows, config.samples, config.tuning.learning_rate) == (10, 2, 1e-4)
    changed = {"rows", "samples", "tuning"}
    assert config.model_dump(exclude=changed) == ReproduceConfig().model_dump(exclude=changed)
