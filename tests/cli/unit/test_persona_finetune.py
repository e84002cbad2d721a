"""`mindscope persona finetune`: what it prints, and that its model is one like any other."""

import json

import finetune_kit
import persona_kit
import pytest

from mindscope.cli import main
from mindscope.models import load
from mindscope.personas import PersonaVectors

QUICK = ["--batch-rows", "2", "--accumulation", "1", "--steps", "2", "--rank", "2", "--save-every", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def data(tmp_path):
    lines = [{"prompt": f"Ask {i}", "response": f"Answer {i}" * (i != 3)} for i in range(6)]
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


@pytest.fixture
def file(folder, tmp_path):
    path = tmp_path / "vectors.safetensors"
    finetune_kit.vectors(load(folder, dtype="float32")).save(path)
    return path


def finetune(capsys, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["persona", "finetune", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_tuned_with_interventions(capsys, folder, data, file, tmp_path):
    asked = [
        "--prevent",
        f"{file}:0.5",
        "--prevent",
        f"{file}@1:2",
        "--caft",
        f"{file}@2",
        "--penalty",
        f"{file}@0:.1",
    ]
    command = [folder, data, "--run", tmp_path / "run", "--on-error", "skip", *QUICK, *asked, "--json"]
    with pytest.warns(UserWarning, match="left out 1 of 6 rows; the first: .*line 4: an answer is empty"):
        code, out, err = finetune(capsys, *command)
    assert (code, "finetune 2/2" in err) == (0, True)
    result = json.loads(out)
    assert result["config"]["interventions"] == [
        {"kind": "prevent", "trait": "loud", "layer": None, "coefficient": 0.5},
        {"kind": "prevent", "trait": "loud", "layer": 1, "coefficient": 2.0},
        {"kind": "caft", "trait": "loud", "layer": 2},
        {"kind": "penalty", "trait": "loud", "layer": 0, "weight": 0.1, "form": "squared"},
    ]
    assert result["vectors"] == {"loud": PersonaVectors.load(file).digest()}
    assert (result["data"]["rows"], result["data"]["left_out"], len(result["checkpoints"])) == (5, 1, 2)
    assert load(result["path"]).fingerprint != result["base_fingerprint"] == load(folder).fingerprint
