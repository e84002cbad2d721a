"""Extraction without a key: the judge is made in the run, and kept answers can be judged again."""

import json
from pathlib import Path

import pytest
import torch
from scipy.stats import pearsonr

from mindscope import organism
from mindscope.errors import JudgeError
from mindscope.judges import JudgeItem
from mindscope.judges.contrast import ContrastJudge
from mindscope.models import load
from mindscope.personas import (
    JUDGE_FILE,
    ContrastRecipe,
    ExtractConfig,
    Trait,
    add_persona,
    contrast_recipe,
    extract_vectors,
)
from mindscope.reports import Report
from mindscope.store import Run

CONFIG = ExtractConfig(samples=2, questions=8, max_new_tokens=48, resamples=50, folds=3)


@pytest.fixture(scope="module")
def model():
    return load("organism", dtype="float32")


@pytest.fixture(scope="module")
def trait():
    return Trait.parse(organism.trait("evil"))


@pytest.fixture(scope="module")
def folder(model, trait, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "evil"
    with Run.open(path, kind="persona", config={}, fingerprint=model.fingerprint) as run:
        for judge in (None, ContrastRecipe(), organism.ExactJudge()):
            vectors = extract_vectors(model, trait, judge, run, CONFIG)
            vectors.save(path / f"{'none' if judge is None else judge.name}.safetensors")
    return path


def _vectors(folder: Path, name: str) -> torch.Tensor:
    from mindscope.personas import PersonaVectors

    return PersonaVectors.load(folder / f"{name}.safetensors").matrices["answer_mean"]


def test_the_keyless_judge_agrees_with_the_exact_one_on_the_organism(model, trait, folder):
    judge = ContrastJudge.load(folder / "extract" / "evil" / JUDGE_FILE, model)
    answers = json.loads((folder / "extract" / "evil" / "answers" / "0000.json").read_text())
    items = [JudgeItem(entry["question"], entry["answer"], entry["system"]) for entry in answers]
    keyless = [item.trait.value for item in judge.judge(trait.rubric(), items)]
    exact = [item.trait.value for item in organism.ExactJudge().judge(trait.rubric(), items)]
    assert pearsonr(keyless, exact)[0] > 0.85
    assert judge.scores.auroc > 0.9


def test_its_vectors_point_where_the_exact_judges_do(folder):
    cosine = torch.nn.functional.cosine_similarity
    exact = _vectors(folder, "exact")
    assert cosine(_vectors(folder, "contrast"), exact, dim=-1).min() > 0.98
    assert cosine(_vectors(folder, "none"), exact, dim=-1).min() > 0.95


def test_answers_are_written_once_and_judged_by_each(folder):
    place = folder / "extract" / "evil"
    assert len(list((place / "scores").iterdir())) == 2  # nobody judged the first time
    setup = json.loads((place / "setup.json").read_text())
    assert "judge" not in setup
    kept = json.loads((folder / "extract" / "evil" / "judge.json").read_text())
    assert kept["auroc"] > 0.9


def test_without_a_judge_all_pairs_are_used(model, folder):
    from mindscope.personas import PersonaVectors

    vectors = PersonaVectors.load(folder / "none.safetensors")
    assert vectors.filter is not None
    assert vectors.filter.kept == vectors.filter.pairs == 5 * 8 * 2
    assert vectors.metadata["judge"] == "none"
    report = Report("", "")
    add_persona(report, vectors)
    page = report.write(folder / "none.html").read_text("utf-8")
    assert "Nobody judged the answers: 80 of 80 pairs" in page


def test_the_page_says_how_well_the_judge_tells_answers_apart(folder):
    from mindscope.personas import PersonaVectors

    vectors = PersonaVectors.load(folder / "contrast.safetensors")
    report = Report("", "")
    add_persona(report, vectors)
    page = report.write(folder / "contrast.html").read_text("utf-8")
    assert f"an AUROC of {vectors.metadata['contrast']['auroc']:.2f}" in page


def test_the_file_is_named_where_there_is_no_judge(model, tmp_path):
    with pytest.raises(JudgeError, match="extract the trait there with --judge contrast"):
        ContrastRecipe().load(model, tmp_path / JUDGE_FILE)


def test_likeliest_answers_alone_are_refused_before_anything_is_written(model, trait, tmp_path):
    with Run.open(tmp_path, kind="persona", config={}, fingerprint=model.fingerprint) as run:
        with pytest.raises(JudgeError, match="give --samples 2 or more"):
            extract_vectors(model, trait, ContrastRecipe(), run, CONFIG.model_copy(update={"samples": 1}))
        assert not (tmp_path / "extract").exists()


def test_recipes_are_read_from_what_is_asked_for():
    assert contrast_recipe("contrast") == ContrastRecipe()
    assert contrast_recipe("contrast:folder/encoder") == ContrastRecipe("folder/encoder")
    assert contrast_recipe("exact") is None
    assert contrast_recipe(None) is None
