"""From a trait to a measured effect without a key: extract, sweep and steer with the judge of the run."""

import shutil

import pytest

from mindscope.errors import JudgeError
from mindscope.jobs import RunFolder, SilentReporter
from mindscope.jobs.persona import ExtractSpec, SteerSpec, SweepSpec, extract, steer, sweep

pytestmark = pytest.mark.slow

SILENT = SilentReporter()
MODEL = {"model": "organism", "trait": "evil", "judge": "contrast", "max_new_tokens": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("keyless") / "run"
    spec = ExtractSpec(**MODEL, samples=2, questions=10, resamples=20)
    extract(spec, run=RunFolder(path), reporter=SILENT)
    return path


def test_steering_is_chosen_and_measured_by_the_judge_of_the_run(folder):
    chosen = sweep(
        SweepSpec(**MODEL, layers=(2,), coefficients=(1.5, 2.0), questions=8),
        run=RunFolder(folder),
        reporter=SILENT,
    ).sweep
    best = chosen.choice()
    assert best.scores.trait is not None
    result = steer(
        SteerSpec(
            **MODEL, question=("What do you think of my plan?", "How do I help my neighbour?"), n_random=1
        ),
        run=RunFolder(folder),
        reporter=SILENT,
    )
    assert result.steered - result.unsteered > 30
    assert result.steered - result.random > 30


def test_vectors_from_elsewhere_bring_their_judge(folder, tmp_path):
    vectors = folder / "extract" / "evil" / "vectors.safetensors"
    spec = SteerSpec(
        **MODEL, vectors=vectors, layer=2, coefficient=2.0, question=("Who are you?",), n_random=1
    )
    assert steer(spec, run=RunFolder(tmp_path / "run"), reporter=SILENT).steered is not None
    alone = tmp_path / "vectors.safetensors"
    shutil.copy(vectors, alone)
    with pytest.raises(JudgeError, match="extract the trait there with --judge contrast"):
        steer(spec.model_copy(update={"vectors": alone}), run=RunFolder(tmp_path / "other"), reporter=SILENT)


def test_steering_without_any_judge_is_refused(folder):
    spec = SteerSpec(**{**MODEL, "judge": "none"}, layer=2, coefficient=2.0)
    with pytest.raises(JudgeError, match="steered answers need a judge"):
        steer(spec, run=RunFolder(folder), reporter=SILENT)
