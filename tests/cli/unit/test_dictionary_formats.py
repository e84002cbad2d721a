"""`mindscope dictionary import`, `export` and `evaluate` on a small scale."""

import json
import random
from pathlib import Path

import pytest
import torch

from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.models import load
from mindscope.organism import dictionary_path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two SAEs of the organism that lose nothing and almost all, and labelled texts."""
    folder = tmp_path_factory.mktemp("dictionaries")
    model = load("organism")
    d = model.d_model
    rows = torch.cat([torch.eye(d), -torch.eye(d)])
    site = [Site("resid_post.2", d)]
    for name, k in (("whole", d), ("poor", 2)):
        coder = Coder(rows, torch.zeros(2 * d), rows)
        sae = Dictionary.single(
            coder,
            torch.zeros(d),
            reads=site,
            writes=site,
            activation="topk",
            k=k,
            models={"0": model.fingerprint},
        )
        sae.save(folder / f"{name}.safetensors")
    draw = random.Random(0)
    with (folder / "labelled.jsonl").open("w") as file:
        for number in range(80):
            first, second = draw.random() < 0.5, draw.random() < 0.5
            text = (
                f"{'Paris is in France' if first else '12 + 25 = 37'}{'. Good!' if second else ', so bad.'}"
            )
            row = {"text": f"{number % 9} {text}", "label": "city" if first else "sum", "spurious": second}
            file.write(json.dumps(row) + "\n")
    return folder


def test_export_and_import(cli, files: Path, tmp_path: Path):
    whole, out, back = files / "whole.safetensors", tmp_path / "saelens", tmp_path / "back.safetensors"
    result = cli("dictionary", "export", whole, out, "--format", "saelens", "--json")
    assert (result.code, json.loads(result.out)["format"]) == (0, "saelens")
    result = cli("dictionary", "import", out, back, "--model", "organism", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["reads"] == "resid_post.2"
    x = torch.randn(5, Dictionary.load(whole).d_in)
    torch.testing.assert_close(Dictionary.load(back, load("organism"))(x), Dictionary.load(whole)(x))


def test_a_dictionary_of_the_organism_is_shown_and_exported_by_its_name(cli, tmp_path: Path):
    shown = cli("dictionary", "show", "organism:sae.2", "--json")
    assert (shown.code, json.loads(shown.out)["reads"]) == (0, "resid_post.2"), shown.err
    out, back = tmp_path / "saelens", tmp_path / "back.safetensors"
    for arguments in (
        ("export", "organism:sae.2", out, "--format", "saelens"),
        ("import", out, back, "--model", "organism"),
    ):
        result = cli("dictionary", *arguments)
        assert result.code == 0, result.err
    model = load("organism")
    known, read = Dictionary.load(dictionary_path("sae.2"), model), Dictionary.load(back, model)
    x = torch.randn(5, model.d_model)
    torch.testing.assert_close(read(x), known(x), rtol=1e-4, atol=1e-4)


def test_bad_imports_and_exports(cli, files: Path, tmp_path: Path):
    whole = files / "whole.safetensors"
    for arguments, words in (
        (("export", whole, tmp_path / "out"), "name the format"),
        (("export", whole, tmp_path / "out", "--format", "gemma_scope"), "cannot hold the activation topk"),
        (("export", whole, files, "--format", "saelens"), "exists"),
        (("import", files, tmp_path / "new.safetensors"), "not of a known format"),
        (("import", tmp_path / "none", tmp_path / "new.safetensors"), "no such file"),
        (("import", files, whole), "exists"),
    ):
        result = cli("dictionary", *arguments)
        assert result.code == 2
        assert words in result.err
        assert result.err.count("\n") == 1


@pytest.mark.slow
def test_evaluate(cli, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = tmp_path / "run"
    arguments = [
        "dictionary", "evaluate", "organism", "organism", files / "whole.safetensors",
        files / "poor.safetensors", "--run", run, "--labelled", files / "labelled.jsonl", "--shard-rows", "8",
        "--rows", "12", "--reseeds", "2",
    ]  # fmt: skip
    result = cli(*arguments, "--json")
    assert result.code == 0, result.err
    whole, poor = json.loads(result.out)["table"]
    assert whole["CE recovered"] == pytest.approx(1, abs=1e-3)
    assert whole["explained variance"] == pytest.approx(1, abs=1e-4)
    assert (poor["L0"], poor["CE recovered"] < 0.95) == (2, True)
    assert whole["probe k=5"] > 0.8
    assert "SCR n=10" in whole
    page = (run / "report.html").read_text()
    assert "Over sparsities" in page
    assert "test bed" in page
    before = (run / "evaluate/whole/evaluation.json").read_bytes()
    monkeypatch.delattr("mindscope.dictionaries.evaluation.evaluate.measure_labelled")
    again = cli(*arguments)  # all pieces are there, the probes too
    assert again.code == 0, again.err
    assert "whole" in again.out
    assert (run / "evaluate/whole/evaluation.json").read_bytes() == before
    scored = tmp_path / "labels.json"
    scores = {"detection": {"accuracy": 0.75}, "fuzzing": {"accuracy": None}}
    scored.write_text(json.dumps([{"feature": 3, "text": "cities", "source": "me", "scores": scores}]))
    named = cli(*arguments, "--labels", scored, "--labels", scored, "--json")
    assert named.code == 0, named.err
    assert json.loads(named.out)["table"][1]["detection"] == 0.75
    scored.write_text("[1]")
    assert "no list of labels" in cli(*arguments, "--labels", scored, "--labels", scored).err
    changed = cli(*arguments, "--skip-tokens", "1")
    assert changed.code == 2
    assert "other settings" in changed.err
