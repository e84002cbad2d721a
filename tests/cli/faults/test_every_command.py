"""What is true of one command is true of all: nonsense ends in one line, code 2, before a model is loaded."""

from pathlib import Path
from typing import Any

import job_kit
import persona_kit
import pytest
import torch
from annotated_types import Ge
from pydantic import ValidationError

from mindscope.errors import DataError, ModelError
from mindscope.jobs import JobSpec
from mindscope.jobs.registry import JOBS, find_job
from mindscope.models import load
from mindscope.personas import PersonaVectors

WRITTEN = {"document", "folder", "keep", "offload_folder", "out", "page", "save", "to"}
"""Fields that name what is written, or a folder that need not be there."""
SPOILT = {
    "empty": b"",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "page": b"<!doctype html><p>Not found",
    "noise": bytes(range(256)) * 20,
    "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
    "deep": b"[" * 100_000,
}


def numbers_of(kind: type[JobSpec], wanted: type) -> list[tuple[str, bool]]:
    """Fields that hold such a number, and whether they hold several."""
    return [
        (name, "tuple" in str(info.annotation))
        for name, info in kind.model_fields.items()
        if wanted in {*job_kit.kinds_of(info.annotation)} and "Mapping" not in str(info.annotation)
    ]


def values_of(name: str) -> tuple[type[JobSpec], dict[str, Any]]:
    """A specification and its smallest values."""
    kind = job_kit.spec_type(find_job(name))
    return kind, job_kit.smallest_values(kind) | job_kit.NEEDED.get(name, {})


def refuses(kind: type[JobSpec], values: dict[str, Any], field: str, value: Any, many: bool) -> bool:
    try:
        kind(**values | {field: (value,) if many else value})
    except (ValidationError, DataError):
        return True
    return False


@pytest.mark.parametrize("name", JOBS)
def test_numbers_that_mean_nothing_are_refused(name):
    """Whatever is compared with NaN is false, so that a limit of NaN would hold nothing back."""
    kind, values = values_of(name)
    kind(**values)
    wanted: list[tuple[type, tuple[float, ...]]] = [
        (float, (float("nan"), float("inf"), -float("inf"))),
        (int, (10**30, -(10**30))),
    ]
    taken = [
        (field, value)
        for number, nonsense in wanted
        for field, many in numbers_of(kind, number)
        for value in nonsense
        if not refuses(kind, values, field, value, many)
    ]
    assert not taken


@pytest.mark.parametrize("name", JOBS)
def test_layers_latents_and_seeds_are_counted_from_0(name):
    kind, values = values_of(name)
    counted = {"layer", "layers", "latents", "seed", "ablate"}
    for field, many in numbers_of(kind, int):
        if field in counted:
            assert refuses(kind, values, field, -1, many), field
    if "seed" in kind.model_fields:
        assert any(isinstance(rule, Ge) for rule in kind.model_fields["seed"].metadata)
        assert refuses(kind, values, "seed", 2**32, False)  # numpy's older generators take no more


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Path]:
    """Files of which one at a time is spoilt."""
    folder = tmp_path_factory.mktemp("good")
    model = load(str(persona_kit.tiny_chat_model(folder / "model")), dtype="float32")
    matrix = torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(0))
    PersonaVectors("loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2)).save(
        folder / "vectors.safetensors"
    )
    turns = '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]}\n'
    (folder / "rows.jsonl").write_text(turns * 8)
    return {
        "model": folder / "model",
        "vectors": folder / "vectors.safetensors",
        "rows": folder / "rows.jsonl",
    }


def files_of(kind: type[JobSpec]) -> list[str]:
    return [
        name
        for name, info in kind.model_fields.items()
        if Path in {*job_kit.kinds_of(info.annotation)} and name not in WRITTEN and name not in kind.hidden
    ]


def command_line(name: str, good: dict[str, Path], field: str, path: Path) -> list[object]:
    """The command with good files and the model, and with `path` for one field."""
    kind, values = values_of(name)
    places = {"model": good["model"], "base": good["model"], "trait": "evil", "vectors": good["vectors"]}
    words: list[object] = [*name.split()]
    for argument in kind.arguments:
        ordinary = good["rows"] if argument in files_of(kind) else values.get(argument, "x")
        value = path if argument == field else places.get(argument, ordinary)
        words.extend(value if isinstance(value, tuple) else [value])
    for other, info in kind.model_fields.items():
        if other in kind.arguments or other in kind.hidden or not (info.is_required() or other == field):
            continue
        (option, *_) = kind.options.get(other, (f"--{other.replace('_', '-')}",))
        words += [option.partition("/")[0], path if other == field else places.get(other, good["rows"])]
    return words


FILES = [
    (name, field)
    for name in JOBS
    for field in files_of(job_kit.spec_type(find_job(name)))
    if (name, field) != ("gate policy", "file")  # which is written
]


@pytest.mark.parametrize(("name", "field"), FILES, ids=[f"{name} {field}" for name, field in FILES])
def test_files_that_are_none(refused, good, tmp_path, monkeypatch, name, field):
    """Absent, empty, a pointer, a page, noise, a pickle, a hundred thousand brackets, too long a name."""

    def refuse_to_load(*_: object, **__: object) -> None:
        raise ModelError("the model would be loaded now")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mindscope.models.model.load_parts", refuse_to_load)
    paths = [tmp_path / "absent.jsonl", tmp_path / ("x" * 5000)]
    for suffix in (".jsonl", ".safetensors"):
        for label, content in SPOILT.items():
            paths.append(tmp_path / f"{label}{suffix}")
            paths[-1].write_bytes(content)
    lines = {path.name[:20]: refused(*command_line(name, good, field, path)) for path in paths}
    assert not [path for path, line in lines.items() if "would be loaded" in line]
