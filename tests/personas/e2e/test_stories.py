"""A very short version of what docs/measuring.md reports on a small published story model."""

import json
from pathlib import Path

import pytest

from mindscope.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["dictionary", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 0, err
    return json.loads(out)


def test_dictionaries_of_a_story_model(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model, source = (
        published / "models" / "stories260K",
        published / "data" / "tinystories" / "tinystories_1000.json",
    )
    stories = json.loads(source.read_text())
    for name, part in (("train", stories[:60]), ("test", stories[-8:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in part))
    size = ["--layers", 2, "--latents", 256, "--k", 16, "--context", 256, "--skip-tokens", 1]
    short = ["--steps", 150, "--batch-tokens", 512, "--buffer-batches", 16]
    for kind in ("sae", "transcoder"):
        asked = ["--run", tmp_path / kind, "--kind", kind, *size, *short]
        run(capsys, "train", model, tmp_path / "train.jsonl", *asked)
    asked = ["--run", tmp_path / "evaluation", "--context", 256, "--skip-tokens", 1]
    trained = (tmp_path / "sae", tmp_path / "transcoder")
    table = run(capsys, "evaluate", model, tmp_path / "test.jsonl", *trained, *asked)["table"]
    sae, transcoder = table
    assert (sae["dictionary"], transcoder["dictionary"]) == ("resid_post.2", "transcoder.2")
    for row, explained, recovered in ((sae, 0.65, 0.85), (transcoder, 0.3, 0.3)):
        assert 14 < row["L0"] < 19
        assert row["dead"] < 0.02
        assert row["explained variance"] > explained
        assert row["CE recovered"] > recovered
        assert row["KL recovered"] > recovered
