"""Files that are not what they should be: one line and exit code 2, from every command that reads them."""

import json

import persona_kit
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from mindscope.models import Model, load
from mindscope.personas import PersonaVectors

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder) -> Model:
    return load(str(folder), dtype="float32")


@pytest.fixture
def trait(tmp_path):
    persona_kit.tiny_trait().save(tmp_path / "loud.yaml")
    return tmp_path / "loud.yaml"


@pytest.fixture
def file(model, tmp_path):
    """Good vectors, for a test to spoil."""
    matrix = torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "vectors.safetensors"
    PersonaVectors("loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2)).save(path)
    return path


def spoil(file, change) -> None:
    """Write the file again, with its metadata, after `change` had its way with the tensors."""
    with safe_open(file, framework="pt") as opened:
        metadata, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(tensors)
    save_file(tensors, file, metadata=metadata)


def set_row(value):
    def change(tensors) -> None:
        tensors["answer_mean"][1] = value

    return change


def narrow(tensors) -> None:
    tensors["answer_mean"] = tensors["answer_mean"][:, :7].contiguous()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_row(float("nan")), "holds NaN or infinity"),
        (set_row(float("inf")), "holds NaN or infinity"),
        (set_row(0.0), "is zero"),
        (narrow, "7 wide"),
    ],
)
def test_spoilt_vectors(refused, folder, trait, file, tmp_path, change, says):
    spoil(file, change)
    steer = [
        "persona",
        "steer",
        folder,
        trait,
        "--layer",
        "1",
        "-c",
        "1",
        "--run",
        tmp_path / "run",
        "--judge",
        "exact",
    ]
    for command in (["chat", folder], steer):
        assert says in refused(*command, "--vectors", file, "--dtype", "float32")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (POINTER, "git lfs pull"),
        (b"<!doctype html><p>Not found", "web page"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.", "pickle"),
        (None, "cut short"),
    ],
)
def test_files_that_hold_no_vectors(refused, folder, file, content, says):
    file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    assert says in refused("chat", folder, "--vectors", file)
    assert says in refused("persona", "show", file)
    assert says in refused("persona", "export", file, file.with_suffix(".gguf"))


def test_vectors_of_another_model(refused, trait, file, tmp_path):
    other = persona_kit.tiny_chat_model(tmp_path / "other", seed=1)
    run = ["--run", tmp_path / "run", "--vectors", file, "--dtype", "float32", "--judge", "exact"]
    assert "another model" in refused("persona", "sweep", other, trait, *run)


def test_models_that_are_none(refused, tmp_path):
    model = persona_kit.tiny_chat_model(tmp_path / "model")
    (model / "model.safetensors").write_bytes(POINTER)
    assert "LFS pointer" in refused("chat", model)
    (model / "config.json").unlink()
    assert str(model) in refused("chat", model)
    assert "there is no folder" in refused("chat", tmp_path / "nothing")


@pytest.mark.parametrize("key", ["eval_prompt", "instructions", "name"])
def test_trait_files_with_a_missing_key(refused, folder, trait, key):
    document = yaml.safe_load(trait.read_text())
    del document[key]
    trait.write_text(yaml.safe_dump(document))
    assert f"missing key '{key}'" in refused("persona", "extract", folder, trait, "--judge", "exact")


@pytest.mark.parametrize(
    ("text", "says"), [("{", "cannot be read as YAML"), ("- a\n", "holds list"), ("\x00", "cannot be read")]
)
def test_trait_files_that_are_none(refused, folder, trait, text, says):
    trait.write_text(text)
    assert says in refused("persona", "extract", folder, trait, "--judge", "exact")


def test_a_damaged_run(refused, tmp_path):
    (tmp_path / "run.json").write_text("{")
    assert "not JSON" in refused("runs", "show", tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"kind": "x"}))
    assert "not the record of a run" in refused("runs", "resume", tmp_path)
