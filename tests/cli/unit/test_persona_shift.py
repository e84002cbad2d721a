"""`mindscope persona shift` on a tiny model whose last block was pushed along the vector."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.models import load
from mindscope.personas import PersonaVectors, ShiftResult

FEW = ["--max-new-tokens", "24", "--dtype", "float32", "--resamples", "100"]


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> dict[str, Path]:
    """A base model, two checkpoints, vectors with and without their trait, and a file of prompts."""
    folder = tmp_path_factory.mktemp("shift")
    base = load(str(persona_kit.tiny_chat_model(folder / "base")), dtype="float32")
    for step in (1, 2):
        tuned = load(str(folder / "base"), dtype="float32")
        with torch.no_grad():
            tuned.hf.model.layers[1].mlp.down_proj.weight.mul_(1 + step)
        tuned.hf.save_pretrained(folder / f"step{step}")
        base.tokenizer.save_pretrained(folder / f"step{step}")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    for name, document in (("vectors", persona_kit.tiny_trait().document()), ("bare", None)):
        PersonaVectors(
            "loud", base.fingerprint, {"answer_mean": matrix}, (0, 1, 2), trait_document=document
        ).save(folder / f"{name}.safetensors")
    lines = [{"messages": [{"role": "user", "content": text}]} for text in ("one", "two", "three")]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return {file.stem: file for file in folder.iterdir()}


@pytest.mark.slow
def test_a_run_of_checkpoints(cli, kit, tmp_path):
    run = tmp_path / "run"
    options = ["--vectors", kit["vectors"], "--layer", "1", "--run", run, *FEW]
    done = cli("persona", "shift", kit["base"], kit["step1"], kit["step2"], *options, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["prompts"] == 4  # the trait's evaluation questions
    assert [moved["model"] for moved in result["tuned"]] == [str(kit["step1"]), str(kit["step2"])]
    saved = ShiftResult.load(run / "shift.json")
    assert saved.of("loud", 1).shift == pytest.approx(2 * saved.of("loud", 1, checkpoint=0).shift, rel=1e-3)
    page = (run / "report.html").read_text()
    assert "over the checkpoints" in page

    plain = cli("persona", "shift", kit["base"], kit["step1"], kit["step2"], *options)
    assert "layer 1, 4 prompts" in plain.out
    assert f"going on with {run}" in plain.err


def test_prompts_out_of_a_file(cli, kit, tmp_path):
    options = ["--vectors", kit["bare"], "--run", tmp_path / "run", *FEW]
    refused = cli("persona", "shift", kit["base"], kit["step1"], *options)
    assert (refused.code, "give --prompts" in refused.err) == (2, True)
    asked = ["--prompts", kit["prompts"], "--layers", "0,2", "--no-answers", "--json"]
    done = cli("persona", "shift", kit["base"], kit["step1"], *options, *asked)
    result = json.loads(done.out)
    assert result["prompts"] == 3
    assert [one["layer"] for one in result["tuned"][0]["movements"]] == [0, 2]
