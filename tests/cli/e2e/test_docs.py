"""What the README and the guide show can be run."""

import re
import shlex
from pathlib import Path

import persona_kit
import pytest
import torch
from typer.main import get_command

import mindscope as ms
from mindscope.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    tiny = ms.load(str(persona_kit.tiny_chat_model(tmp_path / "model", n_layers=20)), dtype="float32")
    file = tmp_path / "runs/sycophantic/extract/sycophantic/vectors.safetensors"
    matrix = torch.randn(tiny.n_layers, tiny.d_model, generator=torch.Generator().manual_seed(0))
    layers = tuple(range(tiny.n_layers))
    ms.PersonaVectors("sycophantic", tiny.fingerprint, {"answer_mean": matrix}, layers).save(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ms, "load", lambda name: tiny, raising=False)
    (example,) = blocks(ROOT / "README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 3


def shown_commands() -> list[str]:
    lines = [
        line.partition("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    inline = [code for page in PAGES for code in re.findall(r"`(mindscope [^`]+)`", page.read_text("utf-8"))]
    return [line for line in (*lines, *inline) if line.startswith("mindscope ")]


@pytest.mark.parametrize("line", sorted(set(shown_commands())))
def test_the_commands_shown_exist_with_their_options(line):
    _, *words = shlex.split(line)
    root = get_command(app)
    command, rest = root, words
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if words[0].isupper():  # `mindscope NOUN VERB`
        return
    assert command is not root, f"there is no such command: {line}"
    assert not rest or not hasattr(command, "commands"), f"there is no such verb: {line}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    used = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert used <= known, f"{used - known} in: {line}"


def test_the_pages_link_to_what_is_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{target} in {page.name}"
