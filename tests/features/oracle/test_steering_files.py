"""A steering file finds a planted fault of each kind, and tells it from rounding."""

from dataclasses import replace

import pytest
import torch

from mindscope.features import (
    SteeringFile,
    check_steering_file,
    export_gguf,
    make_steering_file,
    read_gguf_file,
)
from mindscope.models import AnswerTokens, Edit, Model, load


@pytest.fixture(scope="module")
def organism() -> Model:
    return load("organism", dtype="float32")


@pytest.fixture(scope="module")
def vector(organism) -> torch.Tensor:
    """A direction that the organism's stream knows: what separates two of its prompts."""
    asks = [organism.chat([{"role": "user", "content": text}]) for text in ("What is 3 + 4?", "I feel sad.")]
    first, second = organism.next_logits(asks)
    head = organism.hf.get_output_embeddings().weight.detach()
    return 40 * (head[first.argmax()] - head[second.argmax()])


@pytest.fixture(scope="module")
def file(organism, vector) -> SteeringFile:
    return make_steering_file(organism, "sums", [Edit("resid_post.1", "add", vector, 1.5, "response")])


def checks(file: SteeringFile, model: Model) -> dict[str, bool | None]:
    report = check_steering_file(file, model, "file")
    return {check.name: check.passed for check in report.checks}


def failed(file: SteeringFile, model: Model) -> tuple[set[str], str]:
    report = check_steering_file(file, model, "file")
    assert report.agrees == (not [check for check in report.checks if check.passed is False])
    bad = [check for check in report.checks if check.passed is False]
    return {check.name for check in bad}, " ".join(check.finding for check in bad)


def changed(file: SteeringFile, **what) -> SteeringFile:
    return replace(file, edits=tuple(replace(edit, **what) for edit in file.edits))


def test_the_expected_changes_are_those_of_a_hook(file, organism, vector):
    """Steered log-probabilities of every probe, by a plain forward hook on the block."""
    for probe in file.probes:
        for point in probe.points:
            first = point.prompt_length - 1

            def hook(_module, _arguments, output, first=first):
                hidden = output[0] if isinstance(output, tuple) else output
                hidden = torch.cat([hidden[:, :first], hidden[:, first:] + 1.5 * vector], 1)
                return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

            ids = torch.tensor([point.ids])
            for values, steer in ((point.unsteered, False), (point.steered, True)):
                handles = [organism.hf.model.layers[1].register_forward_hook(hook)] if steer else []
                with torch.no_grad():
                    logprobs = organism.hf(ids).logits[0, -1].log_softmax(-1)
                for handle in handles:
                    handle.remove()
                assert torch.tensor(values) == pytest.approx(logprobs[list(point.tokens)], abs=1e-4)


def test_a_sound_file_passes_every_check(file, organism, tmp_path):
    file.save(tmp_path / "sums.safetensors")
    again = SteeringFile.load(tmp_path / "sums.safetensors")
    report = check_steering_file(again, organism, "sums")
    assert [check for check in report.checks if not check.passed] == []
    assert report.error is not None
    assert report.error < 1e-4
    assert again.probes == file.probes
    assert torch.equal(again.edits[0].vector, file.edits[0].vector)


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        ({"address": "resid_post.2"}, "layer", "layer 1"),
        ({"address": "resid_post.0"}, "layer", "layer 1"),
        ({"value": -1.5}, "coefficient", "the opposite sign"),
        ({"value": 1.65}, "coefficient", "0.91 times"),
        ({"value": 1.515}, "coefficient", "0.99 times"),
        ({"value": 0.5}, "coefficient", "3.00 times"),
        ({"address": "mlp_out.1", "where": "response"}, None, ""),
        ({"address": "mlp_in.1"}, "place", "resid_post"),
        ({"address": "resid_mid.1"}, "place", "resid_post"),
        ({"op": "ablate"}, "operation", "add"),
        ({"op": "replace"}, "operation", "add"),
        ({"where": "all"}, "positions", "'response'"),
        ({"where": "answer"}, "positions", "'response'"),
    ],
)
def test_a_planted_fault_is_named(file, organism, what, kind, says):
    names, findings = failed(changed(file, **what), organism)
    if kind is None:  # what is added to an MLP's output is added behind its block: no fault
        assert names == set()
        return
    assert names == {kind, "precision"}
    assert says in findings


def test_another_vector_is_no_nearby_fault(file, organism, vector):
    other = torch.randn(len(vector), generator=torch.Generator().manual_seed(0)) * vector.norm() / 8
    names, findings = failed(changed(file, vector=other), organism)
    assert names == {"vectors", "precision"}
    assert "the vector is another" in findings


def test_another_model_of_the_same_shape_is_told(file, organism):
    other = load("organism", dtype="float32")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in other.hf.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.02 * weight.std())
    names, findings = failed(file, Model.wrap(other.hf, other.tokenizer, name="another"))
    assert names == {"model"}
    assert "unsteered log-probabilities differ" in findings


def test_another_prompt_format_is_told(file, organism):
    plain = load("organism", dtype="float32")
    plain.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    names, findings = failed(file, plain)
    assert "prompts" in names
    assert "chat template" in findings


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_rounding_is_no_fault_and_faults_are_told_from_it(file, precision):
    model = load("organism", dtype=precision)
    report = check_steering_file(file, model, "file")
    assert report.agrees
    assert report.error is not None
    assert 1e-4 < report.error < report.tolerance
    for what, kind in (
        ({"value": -1.5}, "coefficient"),
        ({"address": "resid_post.2"}, "layer"),
        ({"value": 3.0}, "coefficient"),
        ({"op": "ablate"}, "operation"),
    ):
        assert failed(changed(file, **what), model)[0] == {kind, "precision"}


def test_what_a_precision_cannot_tell_is_said(organism, vector):
    weak = make_steering_file(organism, "weak", [Edit("resid_post.1", "add", vector, 0.02, "response")])
    assert all(checks(weak, organism).values())
    found = checks(weak, load("organism", dtype="bfloat16"))
    assert found["coefficient"] is None
    assert False not in found.values()


@pytest.mark.parametrize("where", ["all", "prompt", "answer", AnswerTokens(2)])
def test_every_way_of_naming_tokens_comes_back(organism, vector, tmp_path, where):
    made = make_steering_file(organism, "sums", [Edit("resid_post.1", "add", vector, 1.0, where)])
    made.save(tmp_path / "file.safetensors")
    again = SteeringFile.load(tmp_path / "file.safetensors")
    assert again.edits[0].where == where
    assert check_steering_file(again, organism, "file").agrees


def test_a_gguf_of_it_is_checked_by_what_the_gguf_holds(organism, vector, tmp_path):
    edits = [Edit("resid_post.1", "add", vector, 1.5), Edit("resid_post.2", "add", vector, -0.5)]
    made = make_steering_file(organism, "sums", edits)
    notes = export_gguf(made, tmp_path / "sums.gguf")
    assert "use the scale 1" in notes[0]
    again = read_gguf_file(tmp_path / "sums.gguf")
    assert [edit.address for edit in again.edits] == ["resid_post.1", "resid_post.2"]
    assert torch.allclose(again.edits[0].vector, 1.5 * vector)
    assert check_steering_file(again, organism, "gguf").agrees
    moved = replace(made, edits=tuple(replace(e, address=e.address.replace("1", "3")) for e in edits))
    export_gguf(replace(moved, probes=made.probes), tmp_path / "moved.gguf")
    assert not check_steering_file(read_gguf_file(tmp_path / "moved.gguf"), organism, "gguf").agrees
