"""Artefacts: what goes in comes out, and everything else is refused in one line."""

import json
import os
import pickle
import struct
from importlib.metadata import version

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindscope.errors import StoreError
from mindscope.store import load_artifact, save_artifact

SCHEMA = "persona-vectors"


def save(path, tensors=None, **changes):
    tensors = {"v": torch.arange(6.0).reshape(2, 3)} if tensors is None else tensors
    header = {
        "schema": SCHEMA,
        "version": 2,
        "metadata": {"fingerprint": "abc", "seed": 3, "config": {"k": 1}},
    }
    save_artifact(path, tensors, **(header | changes))
    return path


def refusal(path, **changes) -> str:
    with pytest.raises(StoreError) as caught:
        load_artifact(path, **({"schema": SCHEMA, "version": 2, "fingerprint": "abc"} | changes))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_lone_surrogate_in_the_metadata_survives(tmp_path):
    save(tmp_path / "x.safetensors", metadata={"fingerprint": "abc", "trait": "a \ud800 b é"})
    kept = load_artifact(tmp_path / "x.safetensors", schema=SCHEMA, version=2)
    assert kept.metadata["trait"] == "a \ud800 b é"


def test_round_trip_keeps_bits_and_metadata(tmp_path):
    shared = torch.randn(4, 5)
    tensors = {
        "a": shared,
        "b": shared.T,
        "view": shared[1:3],
        "i": torch.tensor(7),
        "h": torch.ones(2).bfloat16(),
    }
    artifact = load_artifact(
        save(tmp_path / "x.safetensors", tensors), schema=SCHEMA, version=2, fingerprint="abc"
    )
    assert artifact.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert artifact.tensors[name].dtype == tensor.dtype
        assert torch.equal(artifact.tensors[name], tensor)
    metadata = artifact.metadata
    assert (metadata["schema"], metadata["version"], metadata["fingerprint"]) == (SCHEMA, 2, "abc")
    assert metadata["seed"] == 3
    assert metadata["config"] == {"k": 1}
    assert metadata["libraries"]["torch"] == version("torch")


def test_who_may_read_an_artefact_is_what_the_umask_says(tmp_path):
    mask = os.umask(0o027)
    try:
        path = save(tmp_path / "a.safetensors")
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


def test_same_content_gives_same_bytes(tmp_path):
    first, second = (save(tmp_path / name).read_bytes() for name in ("a.safetensors", "b.safetensors"))
    assert first == second


def test_older_version_is_read(tmp_path):
    path = save(tmp_path / "x.safetensors", version=1)
    assert load_artifact(path, schema=SCHEMA, version=2).metadata["version"] == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        (b"<html>", "web page"),
        (pickle.dumps({"v": 1}), "pickle"),
        (pickle.dumps({"v": 1}, protocol=2), "pickle"),
        (b"PK\x03\x04rest of a zip", "pickle"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"hello", "damaged"),
    ],
)
def test_foreign_content_is_named(tmp_path, content, says):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert says in refusal(path)


def test_torch_pickle_is_never_opened(tmp_path):
    path = tmp_path / "x.safetensors"
    torch.save({"v": torch.zeros(2)}, path)
    assert "pickle" in refusal(path)


def test_absent_file_and_folder(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.safetensors")
    assert "folder" in refusal(tmp_path)


def test_foreign_schema_newer_version_other_model(tmp_path):
    path = save(tmp_path / "x.safetensors")
    assert "'dictionary' is needed" in refusal(path, schema="dictionary")
    assert "upgrade" in refusal(path, version=1)
    assert "another model (fingerprint abc, this model has def)" in refusal(path, fingerprint="def")


def test_artifact_without_fingerprint_fits_no_model(tmp_path):
    path = save(tmp_path / "x.safetensors", metadata={})
    assert "another model" in refusal(path)
    assert load_artifact(path, schema=SCHEMA, version=2).metadata["fingerprint"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_is_refused_both_ways(tmp_path, value):
    tensor = torch.tensor([0.0, value])
    with pytest.raises(StoreError, match="'v' holds NaN or infinity"):
        save(tmp_path / "x.safetensors", {"v": tensor})
    assert not list(tmp_path.iterdir())
    from safetensors.torch import save_file

    header = json.dumps({"schema": SCHEMA, "version": 2, "fingerprint": "abc"})
    save_file({"v": tensor}, tmp_path / "y.safetensors", metadata={"mindscope": header})
    assert "NaN" in refusal(tmp_path / "y.safetensors")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({}, "not written by mindscope"),
        ({"mindscope": "{"}, "damaged metadata"),
        ({"mindscope": "[]"}, "damaged metadata"),
        ({"mindscope": json.dumps({"schema": SCHEMA})}, "no schema version"),
    ],
)
def test_foreign_metadata(tmp_path, header, says):
    from safetensors.torch import save_file

    save_file({"v": torch.zeros(2)}, tmp_path / "x.safetensors", metadata=header)
    assert says in refusal(tmp_path / "x.safetensors")


def test_wrong_suffix_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"must end in \.safetensors"):
        save(tmp_path / "x.pt")


@given(st.data())
def test_cut_anywhere_is_refused(tmp_path_factory, data):
    whole = save(tmp_path_factory.mktemp("cut") / "x.safetensors")
    content = whole.read_bytes()
    whole.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refusal(whole)


@given(st.data())
def test_a_changed_header_is_refused_or_harmless(tmp_path_factory, data):
    path = save(tmp_path_factory.mktemp("flip") / "x.safetensors")
    content = bytearray(path.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for place in data.draw(st.lists(st.integers(0, header - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        load_artifact(path, schema=SCHEMA, version=2, fingerprint="abc")
    except StoreError as error:
        assert "\n" not in str(error)  # noqa: PT017  (a load that succeeds is fine as well)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("noise") / "x.safetensors"
    path.write_bytes(content)
    refusal(path)
