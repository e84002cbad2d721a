"""`persona bake`: searched and given, resumed, refused."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch
from job_kit import RecordingReporter, require_round_trip, require_sentences
from transformers import AutoModelForCausalLM

from mindscope.errors import DataError, ModelError, StoreError
from mindscope.jobs import RunFolder
from mindscope.jobs.persona import BakeSpec, bake, baking, require_checkpoint
from mindscope.models import Row, load
from mindscope.personas import PersonaVectors, measure_divergence
from mindscope.store import Run

QUICK = {
    "layers": (1,),
    "coefficients": (1.0, 2.0),
    "questions": 2,
    "samples": 1,
    "max_new_tokens": 6,
    "texts": 3,
}


@pytest.fixture
def vectors(tiny, tmp_path) -> Path:
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "loud.safetensors"
    document = persona_kit.tiny_trait().document()
    PersonaVectors(
        "loud", tiny.fingerprint, {"answer_mean": matrix}, (0, 1, 2), model=tiny.name, trait_document=document
    ).save(path)
    return path


@pytest.fixture
def judged(monkeypatch):
    """Steered answers score higher, the more they differ from the question's letters."""
    monkeypatch.setattr(baking, "_find_judge", lambda *_: persona_kit.HashJudge())


def spec(tiny, vectors, **options) -> BakeSpec:
    return BakeSpec(model=tiny.name, vectors=vectors, **{**QUICK, **options})


def test_every_option_is_a_sentence():
    require_sentences(bake)
    require_round_trip(BakeSpec(model="organism", vectors=Path("v"), layers=(1, 2), operation="ablate"))


@pytest.mark.parametrize("operation", ["add", "ablate"])
def test_a_given_layer_is_baked_without_a_judge(tiny, vectors, tmp_path, operation):
    coefficient = {"coefficient": 0.5} if operation == "add" else {}
    asked = spec(tiny, vectors, layer=1, operation=operation, to=tmp_path / "baked", **coefficient)
    report = bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
    assert report.search is None
    assert report.checkpoint is not None
    assert report.checkpoint.comparison.largest < 1e-4
    AutoModelForCausalLM.from_pretrained(tmp_path / "baked")
    card = json.loads((tmp_path / "baked" / "mindscope.json").read_text())
    said = {"add": "0.5 loud@1[all]", "ablate": "ablate loud@1 everywhere"}
    assert card["steering"] == said[operation]
    assert load(tmp_path / "baked", dtype="float32").base is not None
    assert "In plain transformers" in Path(report.report).read_text()


def test_an_expression_is_baked(tiny, vectors, tmp_path):
    asked = BakeSpec(model=tiny.name, steer=f"0.5 {vectors}@1 - 0.2 {vectors}@2[all]")
    report = bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
    assert report.checkpoint is not None
    assert len(report.checkpoint.changes) == 3  # a switch, and two biases
    # The same command again ends as it did; another one does not take the checkpoint's place in silence.
    folder = tmp_path / "run/bake/model"
    first = (folder / "model.safetensors").read_bytes()
    again = bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
    assert again.checkpoint == report.checkpoint
    assert (folder / "model.safetensors").read_bytes() == first
    assert [file.name for file in folder.parent.iterdir()] == ["model"]
    other = BakeSpec(model=tiny.name, steer=f"0.7 {vectors}@1[all]")
    with pytest.raises(StoreError, match="made with another steering"):
        bake(other, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
    assert (folder / "model.safetensors").read_bytes() == first
    into = other.model_copy(update={"to": folder})
    assert bake(into, run=RunFolder(tmp_path / "third"), reporter=RecordingReporter()).checkpoint is not None
    assert (folder / "model.safetensors").read_bytes() != first
    asked = BakeSpec(model=tiny.name, steer=f"0.5 {vectors}@1[answer]")
    with pytest.raises(ModelError, match="know no prompt and no answer"):
        bake(asked, run=RunFolder(tmp_path / "other"), reporter=RecordingReporter())


def test_a_search_leaves_the_same_bytes_when_it_is_taken_up(tiny, vectors, tmp_path, judged, monkeypatch):
    whole = bake(spec(tiny, vectors), run=RunFolder(tmp_path / "a"), reporter=RecordingReporter())
    assert whole.search is not None
    assert {point.name for point in whole.search.points} == {"1x1", "1x2"}
    assert sum(point.front for point in whole.search.points) >= 1
    assert whole.search.points[0].divergence.mean < whole.search.points[1].divergence.mean

    real, calls = Run.save_json, []

    def killed(run, name, value):
        calls.append(name)
        if "divergence" in name and len([call for call in calls if "divergence" in call]) == 2:
            raise KeyboardInterrupt
        real(run, name, value)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "save_json", killed)
        bake(spec(tiny, vectors), run=RunFolder(tmp_path / "b"), reporter=RecordingReporter())
    again = bake(spec(tiny, vectors), run=RunFolder(tmp_path / "b"), reporter=RecordingReporter())
    assert again.search == whole.search
    first, second = (tmp_path / name / "bake" / "loud" / "search.json" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_search_without_a_choice_bakes_nothing(tiny, vectors, tmp_path, judged):
    asked = spec(tiny, vectors, most_divergence=1e-9)
    report = bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())
    assert report.checkpoint is None
    assert not (tmp_path / "run" / "bake" / "model").exists()
    with pytest.raises(DataError, match="within 1e-09 nats"):
        require_checkpoint(report)


def test_divergence_is_the_kl_of_two_forward_passes(tiny, tmp_path):
    from mindscope.models import Edit

    vector = torch.randn(32, generator=torch.Generator().manual_seed(3))
    row = Row(tuple(range(10, 22)), 5)
    with Run.open(tmp_path / "run", kind="test", config={}) as run:
        programs = {"steered": [Edit("resid_post.1", "add", vector, 0.7)], "plain": []}
        measured = measure_divergence(tiny, programs, [row], run, "part")
        assert measure_divergence(tiny, programs, [row], run, "part") == measured
    ids = torch.tensor([row.ids])

    def hook(_module, _arguments, output):
        hidden = output[0] if isinstance(output, tuple) else output
        return (hidden + 0.7 * vector, *output[1:]) if isinstance(output, tuple) else hidden + 0.7 * vector

    with torch.no_grad():
        plain = tiny.hf(ids).logits[0].double().log_softmax(-1)
        handle = tiny.hf.model.layers[1].register_forward_hook(hook)
        steered = tiny.hf(ids).logits[0].double().log_softmax(-1)
        handle.remove()
    expected = (plain.exp() * (plain - steered)).sum(-1)[4:11]
    assert torch.tensor(measured["steered"][0], dtype=torch.float64) == pytest.approx(expected, rel=1e-4)
    assert max(measured["plain"][0]) < 1e-6


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"vectors": None}, "give --vectors RUN, or --steer"),
        ({"steer": "evil", "layer": 1}, "leave --layer and --coefficient out"),
        ({"steer": "1.5 evil"}, "leave --vectors out"),
        ({"steer": "1.5 evil@@", "vectors": None}, "layers are written @14"),
        ({"coefficient": 1.0}, "belongs to a --layer"),
        ({"layer": 1}, "give --coefficient beside --layer"),
        ({"layer": 1, "coefficient": 1.0, "operation": "ablate"}, "has no --coefficient"),
    ],
)
def test_half_a_question_is_refused_before_a_model_is_loaded(vectors, tmp_path, options, match):
    asked = BakeSpec(**{"model": "no/such/model", "vectors": vectors, **options})
    with pytest.raises(DataError, match=match):
        bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter())


def test_ordinary_conversations_may_name_their_columns(tiny, vectors, tmp_path):
    file = tmp_path / "plain.jsonl"
    file.write_text("".join(json.dumps({"ask": f"q{i}?", "reply": "so it is"}) + "\n" for i in range(4)))
    given = {"layer": 1, "coefficient": 0.5, "ordinary": file, "to": tmp_path / "baked"}
    asked = spec(tiny, vectors, **given, columns=("question=ask", "answer=reply"))
    assert bake(asked, run=RunFolder(tmp_path / "run"), reporter=RecordingReporter()).checkpoint is not None
    for options, said in (
        ({**given, "columns": ("question=nobody",)}, "nobody"),
        ({**given, "ordinary": None, "columns": ("question=ask",)}, "give --ordinary"),
    ):
        with pytest.raises(DataError, match=said):
            bake(spec(tiny, vectors, **options), run=RunFolder(tmp_path / "no"), reporter=RecordingReporter())
