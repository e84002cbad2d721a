"""`mindscope vectors`: what is printed, and the exit codes."""

import json

import pytest
import torch

from mindscope.cli import main
from mindscope.personas import PersonaVectors


@pytest.fixture
def vectors(tiny, tmp_path):
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "loud.safetensors"
    PersonaVectors("loud", tiny.fingerprint, {"answer_mean": matrix}, (0, 1, 2), model=tiny.name).save(path)
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_vectors_and_runs_are_told_from_steering(tiny, vectors, tmp_path, capsys):
    """What a person has at hand is a run of `persona extract`, and not a steering file."""
    for given, what in ((vectors, "holds persona vectors"), (tmp_path, "is a folder")):
        for command in (("check", tiny.name, given), ("export", given, tmp_path / "a.gguf")):
            assert run("vectors", *command) == 2
            line = capsys.readouterr().err.strip()
            assert what in line
            assert "mindscope vectors write" in line
    assert run("library", "pack", vectors, tmp_path / "a.case") == 2
    assert "mindscope vectors write" in capsys.readouterr().err


def test_from_vectors_to_a_file_that_tests_itself(tiny, vectors, tmp_path, capsys):
    file = tmp_path / "steer.safetensors"
    assert run("vectors", "write", tiny.name, file, "--steer", f"1.5 {vectors}@1[all]") == 0
    assert run("vectors", "check", tiny.name, file) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[1] for line in lines if line.startswith("ok ")]
    assert names == [
        *(
            "vectors",
            "model",
            "prompts",
            "place",
            "layer",
            "operation",
            "coefficient",
            "positions",
            "precision",
        )
    ]
    assert run("vectors", "check", tiny.name, file, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert all(check["passed"] for check in report["checks"])

    assert run("vectors", "export", file, tmp_path / "steer.gguf") == 0
    assert "use the scale 1" in capsys.readouterr().err
    assert run("vectors", "check", tiny.name, tmp_path / "steer.gguf") == 0
    assert run("vectors", "export", file, tmp_path / "steer.pt") == 0
    assert "the coefficient is not carried: it is 1.5" in capsys.readouterr().err
    assert run("vectors", "check", tiny.name, tmp_path / "steer.pt") == 2
    assert "unknown" in capsys.readouterr().err


def test_a_file_for_another_model_fails_with_1(tiny, vectors, tmp_path, capsys):
    import persona_kit

    file = tmp_path / "steer.safetensors"
    assert run("vectors", "write", tiny.name, file, "--steer", f"1.5 {vectors}@1[all]") == 0
    other = persona_kit.tiny_chat_model(tmp_path / "other", seed=5)
    capsys.readouterr()
    assert run("vectors", "check", other, file) == 1
    shown = capsys.readouterr()
    assert "FAIL model" in shown.out
    assert "does not do to" in shown.err


def test_what_an_import_does_not_know_is_said(tiny, vectors, tmp_path, capsys):
    file = tmp_path / "steer.safetensors"
    assert run("vectors", "write", tiny.name, file, "--steer", f"1.5 {vectors}@1[all]") == 0
    assert run("vectors", "export", file, tmp_path / "steer.pt") == 0
    capsys.readouterr()
    assert run("persona", "import", tiny.name, tmp_path / "steer.pt", tmp_path / "again.safetensors") == 0
    assert PersonaVectors.load(tmp_path / "again.safetensors").layers == (1,)
    assert run("vectors", "export", file, tmp_path / "steer.gguf") == 0
    capsys.readouterr()
    assert run("persona", "import", tiny.name, tmp_path / "steer.gguf", tmp_path / "again.safetensors") == 0
    shown = capsys.readouterr().err
    assert "with which coefficient and at which tokens" in shown
    assert PersonaVectors.load(tmp_path / "again.safetensors").metadata["unknown"]
