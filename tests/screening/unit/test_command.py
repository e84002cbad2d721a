"""`mindscope persona screen`: what it prints and writes, and how it says no."""

import json

import persona_kit
import pytest
import screening_kit as kit
from pyarrow import parquet

from mindscope.cli import main
from mindscope.models import load


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, vectors of two traits, and data."""
    folder = tmp_path_factory.mktemp("place")
    persona_kit.tiny_chat_model(folder / "model")
    model = load(str(folder / "model"), dtype="float32")
    for each in kit.vectors(model, "loud", "late"):
        (folder / "vectors" / "extract" / each.trait).mkdir(parents=True)
        each.save(folder / "vectors" / "extract" / each.trait / "vectors.safetensors")
    kit.write(folder / "data.jsonl", kit.chats(12))
    kit.write(folder / "ordinary.jsonl", kit.chats(20))
    (folder / "bad.jsonl").write_text((folder / "data.jsonl").read_text() + '{"messages": []}\n')
    return folder


@pytest.fixture
def command(place, tmp_path, monkeypatch, capsys):
    """Runs the command in the folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(place)

    def run(*arguments: str) -> tuple[int, str, str]:
        fixed = ["--dtype", "float32", "--vectors", "vectors"]
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["persona", "screen", "model", *arguments, *fixed, "--run", str(tmp_path / "run")])
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


def test_scores_flags_and_a_filtered_copy(command, tmp_path) -> None:
    kept = tmp_path / "kept.jsonl"
    code, out, err = command(
        "data.jsonl", "--max-new-tokens", "5", "--reference", "ordinary.jsonl", "--layer", "loud=0",
        "--drop-above", "70", "--to", str(kept), "--json",
    )  # fmt: skip
    assert code == 0, err
    result = json.loads(out)
    assert {each["trait"]: each["layer"] for each in result["traits"]} == {"loud": 0, "late": 1}
    assert result["calibration"] == "reference"
    rows = parquet.read_table(result["table"]).to_pylist()
    passing = [row for row in rows if max(row["loud_percentile"], row["late_percentile"]) <= 70]
    assert result["filtered"] == {"file": str(kept), "rows": len(passing), "of": 12}
    assert [json.loads(line)["id"] for line in kept.read_text().splitlines()] == [
        each["id"] for each in passing
    ]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["samples"] == 12

    code, out, err = command(
        "data.jsonl", "--max-new-tokens", "5", "--reference", "ordinary.jsonl", "--layer", "loud=0"
    )
    assert code == 0, err
    assert "highest on late" in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["bad.jsonl"], "bad.jsonl, line 13: messages must be a list of at least one turn"),
        (["absent.jsonl"], "cannot read absent.jsonl"),
        (["data.jsonl", "--drop-above", "90"], "say where the filtered copy goes"),
        (["data.jsonl", "--to", "copy.jsonl"], "say what to leave out"),
        (["data.jsonl", "--to", "data.jsonl", "--drop-above", "9"], "data.jsonl exists"),
        (["data.jsonl", "--form", "quick"], "'quick' is not one of 'exact', 'prompt', 'sample'"),
        (["data.jsonl", "--layer", "loud"], "write a layer such as 12"),
        (["data.jsonl", "--layer", "7"], "there is no layer 7"),
        (["data.jsonl", "--layer", "quiet=1"], "layers name 'quiet'"),
    ],
)
def test_what_it_refuses(command, arguments, reason) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert reason in errors[0]


def test_malformed_rows_can_be_left_out(command) -> None:
    code, _, err = command("bad.jsonl", "--form", "prompt", "--on-error", "skip")
    assert code == 0
    assert "left out 1 rows; the first: bad.jsonl, line 13: messages must be" in err
