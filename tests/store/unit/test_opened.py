"""Reading artefacts without loading them."""

from pathlib import Path

import pytest
import torch

from mindscope.errors import StoreError
from mindscope.store import OpenArtifact, load_artifact, save_artifact


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.safetensors"
    tensors = {"values": torch.arange(12.0).view(4, 3), "counts": torch.arange(4)}
    save_artifact(path, tensors, schema="table", version=1, metadata={"fingerprint": "abc"})
    return path


def test_reads_rows_as_they_were_saved(file: Path):
    opened = OpenArtifact.open(file, schema="table", version=1, fingerprint="abc")
    whole = load_artifact(file, schema="table", version=1)
    assert opened.metadata == whole.metadata
    assert opened.shape("values") == (4, 3)
    assert torch.equal(opened.rows("values", 1, 3), whole.tensors["values"][1:3])
    assert torch.equal(opened.rows("counts"), whole.tensors["counts"])
    with pytest.raises(StoreError, match="no tensor 'other'"):
        opened.rows("other")
    opened.close()


def test_refuses_what_is_not_meant(file: Path, tmp_path: Path):
    with pytest.raises(StoreError, match="another model"):
        OpenArtifact.open(file, schema="table", version=1, fingerprint="xyz")
    with pytest.raises(StoreError, match="is needed"):
        OpenArtifact.open(file, schema="chair", version=1)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(StoreError, match="cut short"):
        OpenArtifact.open(cut, schema="table", version=1)


def test_finds_nan_in_what_is_read(file: Path):
    damaged = file.read_bytes()
    nan = torch.tensor([float("nan")]).numpy().tobytes()
    at = damaged.rindex(torch.tensor([11.0]).numpy().tobytes())
    file.write_bytes(damaged[:at] + nan + damaged[at + 4 :])
    opened = OpenArtifact.open(file, schema="table", version=1)
    assert opened.rows("values", 0, 3).isfinite().all()
    with pytest.raises(StoreError, match="NaN"):
        opened.rows("values", 3)
