"""Steering files that cannot be made, read or written for other tools."""

import json

import gguf
import pytest
import torch

from mindscope.errors import DataError, StoreError
from mindscope.features import SteeringFile, export_gguf, export_pt, make_steering_file, read_gguf_file
from mindscope.features.steering_files.steering_file import SCHEMA
from mindscope.models import Edit
from mindscope.store import load_artifact, save_artifact

VECTOR = torch.randn(32, generator=torch.Generator().manual_seed(1))


def made(tiny, *edits: Edit) -> SteeringFile:
    return make_steering_file(tiny, "loud", edits or [Edit("resid_post.1", "add", VECTOR)])


def test_edits_of_one_rows_tokens_are_refused(tiny):
    with pytest.raises(DataError, match="tokens of one row"):
        made(tiny, Edit("resid_post.1", "add", VECTOR, 1.0, (2, 3)))


def test_steering_that_does_nothing_is_refused(tiny):
    with pytest.raises(DataError, match="changes nothing behind the probe prompts"):
        made(tiny, Edit("resid_post.1", "cap", VECTOR, 1e6))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda metadata: metadata.pop("probes"), "damaged at 'probes'"),
        (lambda metadata: metadata.update(probes=[]), "no edit or no probe"),
        (lambda metadata: metadata["edits"][0].update(operation="explode"), "damaged at 'edits.0.operation'"),
        (lambda metadata: metadata["edits"][0].update(positions="everywhere"), "no tokens 'everywhere'"),
        (lambda metadata: metadata["edits"][0].update(vector="vector/7"), "an edit that is none"),
        (lambda metadata: metadata["probes"][0]["points"][0].update(prompt_length=0), "prompt_length"),
    ],
)
def test_a_damaged_file_is_refused_by_its_field(tiny, tmp_path, damage, match):
    made(tiny).save(tmp_path / "file.safetensors")
    artifact = load_artifact(tmp_path / "file.safetensors", schema=SCHEMA, version=1)
    metadata = {key: value for key, value in artifact.metadata.items() if key not in ("schema", "version")}
    damage(metadata)
    save_artifact(tmp_path / "bad.safetensors", artifact.tensors, schema=SCHEMA, version=1, metadata=metadata)
    with pytest.raises(DataError, match=match):
        SteeringFile.load(tmp_path / "bad.safetensors")


def test_persona_vectors_are_no_steering_file(tmp_path):
    save_artifact(
        tmp_path / "v.safetensors", {"a": VECTOR}, schema="mindscope.persona_vectors", version=2, metadata={}
    )
    with pytest.raises(StoreError, match=r"mindscope.steering_file.* is needed"):
        SteeringFile.load(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (Edit("resid_post.1", "ablate", VECTOR), "holds additions, and loud holds a ablate"),
        (Edit("resid_post.1", "cap", VECTOR, -50.0), "holds additions"),
        (Edit("attn_out.1", "add", VECTOR), "edits attn_out.1"),
    ],
)
def test_other_tools_files_hold_additions_behind_blocks(tiny, tmp_path, edit, match):
    file = made(tiny, edit)
    for export in (export_gguf, export_pt):
        with pytest.raises(DataError, match=match):
            export(file, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_each_format_refuses_the_layer_that_it_lacks(tiny, tmp_path):
    with pytest.raises(DataError, match="cannot hold layer 0"):
        export_gguf(made(tiny, Edit("resid_post.0", "add", VECTOR)), tmp_path / "out.gguf")
    with pytest.raises(DataError, match="behind the final norm"):
        export_pt(made(tiny, Edit("resid_post.2", "add", VECTOR)), tmp_path / "out.pt")
    twice = made(tiny, Edit("resid_post.1", "add", VECTOR), Edit("resid_post.1", "add", 2 * VECTOR))
    with pytest.raises(DataError, match="one vector a layer"):
        export_pt(twice, tmp_path / "out.pt")


def test_what_a_format_does_not_carry_is_said(tiny, tmp_path):
    file = made(tiny, Edit("resid_post.1", "add", VECTOR, 0.5, "answer"))
    notes = " ".join(export_gguf(file, tmp_path / "out.gguf"))
    assert "llama.cpp at every token; the probes are left out" in notes
    with pytest.raises(DataError, match="carries no probes"):
        read_gguf_file(tmp_path / "out.gguf")
    notes = " ".join(export_pt(file, tmp_path / "out.pt"))
    assert "coefficient is not carried: it is 0.5" in notes
    assert "tokens are not carried: they are answer" in notes
    rows = torch.load(tmp_path / "out.pt", weights_only=True)
    assert rows.shape == (4, 32)
    assert torch.equal(rows[2], VECTOR)


def test_easysteer_reads_its_own_field(tiny, tmp_path):
    """As EasySteer's `StatisticalControlVector.import_gguf` does: version 1, a component, pairs."""
    file = made(tiny, Edit("resid_post.0", "add", VECTOR, 2.0))
    export_gguf(file, tmp_path / "out.gguf", easysteer=True)
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    native = json.loads(fields["controlvector.easysteer"])
    assert (native["version"], native["component"]) == (1, "hidden_states")
    assert dict(native["metadata"]["mapping"])["positions"] == "all"
    assert {"controlvector.model_hint", "controlvector.method"} <= fields.keys()
    assert [tensor.name for tensor in reader.tensors] == ["direction.0"]
    assert torch.allclose(torch.tensor(reader.tensors[0].data), 2 * VECTOR)


def test_a_control_vector_that_is_none(tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF nothing")
    with pytest.raises(DataError, match="not a readable GGUF"):
        read_gguf_file(tmp_path / "bad.gguf")
