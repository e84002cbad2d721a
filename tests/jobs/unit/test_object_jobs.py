"""Jobs whose files lie in an object store: read from there, kept there, and gone on with elsewhere."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import job_kit
import persona_kit
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from mindscope.core import CACHE_VARIABLE
from mindscope.dictionaries import ShardSource
from mindscope.errors import DataError
from mindscope.jobs import RunFolder
from mindscope.jobs.dictionary import RecordSpec, record
from mindscope.jobs.monitor import MonitorVectorsSpec, monitor_vectors
from mindscope.models import load
from mindscope.personas import PersonaVectors
from mindscope.store import Run

REPORTER = job_kit.RecordingReporter()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    address = f"memory://bucket-{uuid.uuid4().hex}"
    yield address
    MemoryFileSystem().rm(address, recursive=True)


def put(address: str, content: bytes) -> None:
    files, place = fsspec.url_to_fs(address)
    files.pipe_file(place, content)


def pieces_in(address: str) -> dict[str, bytes]:
    files, place = fsspec.url_to_fs(address)
    return {name.removeprefix(f"{place}/"): files.cat_file(name) for name in files.find(place)}


def test_a_file_is_watched_in_a_store_and_the_run_goes_on_on_another_machine(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = persona_kit.tiny_chat_model(tmp_path / "model")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    vectors = PersonaVectors("loud", load(str(folder)).fingerprint, {"answer_mean": matrix}, (0, 1, 2))
    vectors.save(tmp_path / "vectors.safetensors")
    put(f"{bucket}/vectors.safetensors", (tmp_path / "vectors.safetensors").read_bytes())
    talks = [{"prompt": f"ask {i}", "response": f"say {i}"} for i in range(8)]
    put(f"{bucket}/chats.jsonl", "".join(json.dumps(talk) + "\n" for talk in talks).encode())
    spec = MonitorVectorsSpec(
        model=str(folder),
        data=Path(f"{bucket}/chats.jsonl"),
        vectors=(Path(f"{bucket}/vectors.safetensors"),),
        shard_rows=2,
        device="cpu",
    )
    wanted = monitor_vectors(spec, run=RunFolder(tmp_path / "here"), reporter=REPORTER)
    assert wanted.conversations == 8

    saved = Run.save_json

    def die(self: Run, name: str, value: Any) -> None:
        saved(self, name, value)
        if name.endswith("0001.json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save_json", die)
    with pytest.raises(KeyboardInterrupt):
        monitor_vectors(spec, run=RunFolder.of(f"{bucket}/run"), reporter=REPORTER)
    monkeypatch.setattr(Run, "save_json", saved)
    assert json.loads(pieces_in(f"{bucket}/run")["run.json"])["status"] == "interrupted"
    made: list[str] = []

    def note(self: Run, name: str, value: Any) -> None:
        made.append(name)
        saved(self, name, value)

    monkeypatch.setattr(Run, "save_json", note)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another machine"))
    run = RunFolder.of(Path(f"{bucket}/run"))
    report = monitor_vectors(spec, run=run, reporter=REPORTER)
    run.push()
    assert [Path(name).name for name in made if "watch" in name] == ["0002.json", "0003.json"]
    there = pieces_in(f"{bucket}/run")
    here = Path(wanted.run) / wanted.folder
    for name in ("conversations.jsonl", "monitoring.json"):
        assert there[f"{report.folder}/{name}"] == (here / name).read_bytes()
    assert f"{report.folder}/report.html" in there


def test_activations_are_recorded_to_a_store_and_read_from_it_a_shard_at_a_time(
    bucket: str, tmp_path: Path
) -> None:
    folder = persona_kit.tiny_chat_model(tmp_path / "model")
    put(f"{bucket}/texts.txt", "\n\n".join(f"a text of some length, number {i}" for i in range(20)).encode())
    spec = RecordSpec(
        model=str(folder), corpus=f"{bucket}/texts.txt", sites="resid_post.1", tokens=256, device="cpu"
    )
    run = RunFolder.of(f"{bucket}/activations")
    record(spec, run=run, reporter=REPORTER)
    run.push()
    source = ShardSource(f"{bucket}/activations")
    buffer = torch.empty(256, 32)
    source.fill(buffer, (0, 0))
    local = torch.empty(256, 32)
    ShardSource(run.path).fill(local, (0, 0))
    assert torch.equal(buffer, local)
    assert not list(Path(tmp_path / "cache" / "objects").rglob("0*.safetensors"))  # nothing of it stays


def test_what_is_not_in_the_store_is_refused_before_a_model_is_loaded(bucket: str) -> None:
    put(f"{bucket}/x", b"x")
    spec = MonitorVectorsSpec(model="nowhere", data=Path("x"), vectors=(Path(f"{bucket}/no"),))
    with pytest.raises(DataError, match=rf"--vectors: no such file or folder: {bucket}/no"):
        spec.require_inputs()
