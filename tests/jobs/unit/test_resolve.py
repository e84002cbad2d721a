"""What the names on a command line stand for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mindscope import jobs, organism
from mindscope.jobs import JudgeSpec
from mindscope.jobs.persona.step_specs import SteerSpec
from mindscope.organism.mechanisms.pictures import patch_tokens


@pytest.mark.parametrize(
    ("name", "noted"), [("organism", True), ("second-organism", True), ("somewhere/organism", False)]
)
def test_a_page_of_a_bundled_model_says_that_it_is_a_test_bed(name: str, noted: bool):
    model: Any = SimpleNamespace(name=name)
    assert jobs.test_bed_note(model) == (jobs.TEST_BED if noted else "")


@pytest.mark.parametrize(("name", "world"), [("organism", "first"), ("second-organism", "second")])
def test_a_bundled_model_has_its_traits_and_its_judge(name: str, world: str, tmp_path: Path):
    assert jobs.find_trait("evil", name).extraction == tuple(organism.trait("evil")["extraction"])
    jobs.require_judge(JudgeSpec(), name)
    model: Any = SimpleNamespace(name=name)
    judge = jobs.find_judge(JudgeSpec(), model, tmp_path)
    assert isinstance(judge, organism.ExactJudge)
    assert judge.world == world
    assert SteerSpec(model=name, trait="evil", question=("Who are you?",)).is_judged
    assert not SteerSpec(model="some/model", trait="evil", question=("Who are you?",)).is_judged


def test_a_tuned_organism_is_judged_by_the_world_whose_texts_it_reads(tmp_path: Path):
    tokenizer = SimpleNamespace(get_vocab=lambda: dict.fromkeys(patch_tokens(), 0))
    model: Any = SimpleNamespace(name="runs/tuned/model", tokenizer=tokenizer)
    judge = jobs.find_judge(JudgeSpec(judge="exact"), model, tmp_path)
    assert isinstance(judge, organism.ExactJudge)
    assert judge.world == "second"
    assert jobs.find_trait("evil", "runs/tuned/model") == jobs.find_trait("evil", "some/model")
