"""Names of a steering expression: loaded vectors, runs, files, latents, and what is refused."""

import pytest
import torch
from persona_kit import random_vectors

from mindscope.errors import DataError, MindscopeError
from mindscope.features import Direction, SteerExpression
from mindscope.jobs.resolve import dictionary_file
from mindscope.jobs.steering import SteeringNames
from mindscope.models import load
from mindscope.personas import ArmScores, SweepConfig, SweepPoint, SweepResult


@pytest.fixture
def run(tiny, tmp_path):
    """A run with the vectors of two traits, and a sweep that chose layer 2 for one of them."""
    for seed, trait in enumerate(("evil", "kind")):
        random_vectors(tiny, trait, seed).save(tmp_path / f"run/extract/{trait}/vectors.safetensors")
    nothing = ArmScores(trait=None, coherence=None, answers=1, unscored=1, by_question=(None,))
    SweepResult(
        trait="evil",
        fingerprint=tiny.fingerprint,
        config=SweepConfig(),
        questions=("Why?",),
        unsteered=nothing,
        points=(SweepPoint(layer=2, coefficient=0.5, scores=nothing),),
        chosen=0,
    ).save(tmp_path / "run/sweep/evil/sweep.json")
    return tmp_path / "run"


def test_loaded_vectors_runs_and_files(tiny, run):
    evil, kind = random_vectors(tiny, "evil", 0), random_vectors(tiny, "kind", 1)
    names = SteeringNames(tiny, {"evil": evil}, chosen={"evil": 0})
    file = run / "extract/kind/vectors.safetensors"
    text = f"2 evil - {run}:evil + {file}@0-1 + {run}:kind"
    edits = names.edits(SteerExpression.parse(text))
    assert [(edit.address, edit.value, edit.where) for edit in edits] == [
        ("resid_post.0", 2.0, "response"),  # chosen
        ("resid_post.2", -1.0, "response"),  # the choice of the run's sweep
        ("resid_post.0", 1.0, "response"),
        ("resid_post.1", 1.0, "response"),
        ("resid_post.1", 1.0, "response"),  # 0.55 of the depth
    ]
    for edit, vector in zip(edits, [evil, evil, kind, kind, kind], strict=True):
        layer = int(edit.address[-1])
        torch.testing.assert_close(edit.vector, vector.answer_mean[layer])


def test_a_layer_for_all_and_published_indices(tiny, run):
    names = SteeringNames(tiny, {"evil": random_vectors(tiny, "evil", 0)}, layer=0, published_index=True)
    assert [direction.address for direction in names.find("evil")] == ["resid_post.0"]
    assert [direction.address for direction in names.find("evil", (2, 3))] == ["resid_post.1", "resid_post.2"]
    assert len(names.find("evil", "all")) == tiny.n_layers


def test_directions_and_latents_have_a_place_of_their_own(tiny):
    probe = Direction("probe", "mlp_out.1", torch.ones(tiny.d_model), tiny.fingerprint)
    names = SteeringNames(tiny, directions={"probe": [probe]})
    assert names.find("probe") == [probe]
    with pytest.raises(DataError, match=r"probe is written at mlp_out.1 and nowhere else"):
        names.find("probe", (0,))


def test_latents_of_the_organism():
    from mindscope.dictionaries import Dictionary

    model = load("organism")
    dictionary = Dictionary.load(dictionary_file("organism:sae.2"), model)
    names = SteeringNames(model)
    for name in ("sae.2/633", "organism:sae.2/633", f"{dictionary_file('organism:sae.2')}/633"):
        (edit,) = names.edits(SteerExpression.parse(f"-3 {name}[answer]"))
        assert (edit.address, edit.value, edit.where) == ("resid_post.2", -3.0, "answer")
        torch.testing.assert_close(edit.vector, dictionary.coder.W_dec[633].float())
    for wrong, says in (("sae.9/1", "no dictionary 'sae.9'"), ("sae.2/99999", "no latent 99999")):
        with pytest.raises(MindscopeError, match=says):
            names.find(wrong)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{run}", "holds the vectors of 2 traits"),
        ("{run}:sad", "holds no vectors of 'sad', but of evil, kind"),
        ("nowhere/x.safetensors", "there is no vector"),
        ("evil", "loaded: none"),
    ],
)
def test_names_that_mean_nothing(tiny, run, name, says):
    with pytest.raises(DataError, match=says):
        SteeringNames(tiny).find(name.format(run=run))


def test_no_path_is_opened_where_files_are_not_allowed(tiny, run):
    names = SteeringNames(tiny, {"kind": random_vectors(tiny, "kind", 1)}, files=False)
    with pytest.raises(DataError, match=r"there is no vector .*; loaded: kind$"):
        names.find(f"{run}:evil")
