"""`mindscope dictionary`: train, record and show, on a tiny random model."""

import json
import subprocess
import sys
from pathlib import Path

import persona_kit
import pytest

from mindscope.dictionaries import Dictionary
from mindscope.models import load

FAST = ["--latents", "40", "--k", "3", "--steps", "6", "--batch-tokens", "32", "--buffer-batches", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=2)


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"{i} apples and {i * i} pears."}) + "\n" for i in range(20)))
    return path


def test_one_sae_a_layer(cli, model, texts, tmp_path):
    result = cli("dictionary", "train", model, texts, "--run", tmp_path / "run", *FAST, "--json")
    assert result.code == 0, result.err
    table = json.loads(result.out)["dictionaries"]
    assert [row["dictionary"] for row in table] == ["resid_post.0", "resid_post.1"]
    assert all(row["l0"] == 3 and row["explained_variance"] < 1 for row in table)
    found = Dictionary.load(tmp_path / "run" / "resid_post.1.safetensors", load(model))
    assert (found.kind, found.activation, found.n_latents) == ("sae", "batchtopk", 40)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {line["dictionary"] for line in lines} == {"resid_post.0", "resid_post.1"}


@pytest.mark.parametrize(
    ("kind", "names"),
    [("transcoder", ["transcoder.0", "transcoder.1"]), ("clt", ["clt"]), ("crosscoder", ["crosscoder"])],
)
def test_the_other_kinds(cli, model, texts, tmp_path, kind, names):
    result = cli("dictionary", "train", model, texts, "--kind", kind, "--run", tmp_path / "run", *FAST)
    assert result.code == 0, result.err
    for name in names:
        path = tmp_path / "run" / (name if kind == "clt" else f"{name}.safetensors")
        shown = cli("dictionary", "show", path, "--json")
        assert json.loads(shown.out)["kind"] == kind


def test_recorded_activations_train_the_same_dictionary(cli, model, texts, tmp_path):
    """Shards are bfloat16, so what comes out is alike, not equal."""
    recorded = cli(
        "dictionary",
        "record",
        model,
        texts,
        "--sites",
        "resid_post.0",
        "--tokens",
        400,
        "--run",
        tmp_path / "acts",
    )
    assert recorded.code == 0, recorded.err
    shared = ["--layers", "0", *FAST, "--json"]
    rows = []
    for corpus in (texts, tmp_path / "acts"):
        result = cli("dictionary", "train", model, corpus, "--run", tmp_path / f"on-{corpus.name}", *shared)
        rows += json.loads(result.out)["dictionaries"]
    assert rows[0]["explained_variance"] == pytest.approx(rows[1]["explained_variance"], abs=0.02)
    other = persona_kit.tiny_chat_model(tmp_path / "other", n_layers=2, seed=1)
    refused = cli("dictionary", "train", other, tmp_path / "acts", "--run", tmp_path / "no", *shared)
    assert refused.code == 2
    assert "another model" in refused.err


def test_a_configuration_file(cli, model, texts, tmp_path):
    one = {
        "name": "mine",
        "reads": ["mlp_out.1"],
        "n_latents": 30,
        "k": 2,
        "method": "matryoshka",
        "groups": [0.5, 0.5],
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"dictionaries": [one], "steps": 3, "batch_tokens": 16}))
    result = cli("dictionary", "train", model, texts, "--config", path, "--run", tmp_path / "run", "--json")
    assert json.loads(result.out)["dictionaries"][0]["reads"] == "mlp_out.1"
    path.write_text("[]")
    assert cli("dictionary", "train", model, texts, "--config", path, "--run", tmp_path / "x").code == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--k", "99"], "99 of 40 latents"),
        (["--layers", "9"], "layers 0 to 1"),
        (["--method", "magic"], "method"),
        (["--layers", "one"], "not a list of numbers"),
    ],
)
def test_bad_options_end_in_one_line(cli, model, texts, tmp_path, options, reason):
    result = cli("dictionary", "train", model, texts, "--run", tmp_path / "run", *FAST, *options)
    assert result.code == 2
    assert reason in result.err
    assert result.err.count("\n") == 1


def test_another_configuration_in_the_same_run_is_refused(cli, model, texts, tmp_path):
    command = ["dictionary", "train", model, texts, "--run", tmp_path / "run", *FAST]
    assert cli(*command).code == 0
    assert cli(*command, "--seed", "1").code == 2


def test_help_imports_no_torch():
    code = """
import sys
from mindscope.cli import main
try:
    main(["dictionary", "train", "--help"])
except SystemExit:
    pass
assert "torch" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
