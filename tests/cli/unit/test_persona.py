"""`mindscope persona`, from a trait to steered answers, on a tiny random model with a judge that is code."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch

from mindscope.jobs import specs
from mindscope.jobs.persona import kept_inputs, three_steps
from mindscope.models import Model
from mindscope.personas import PersonaVectors

FEW = ["--max-new-tokens", "6", "--shard-rows", "8", "--dtype", "float32"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def trait(tmp_path) -> Path:
    persona_kit.tiny_trait().save(tmp_path / "loud.yaml")
    return tmp_path / "loud.yaml"


@pytest.fixture
def judged(monkeypatch):
    """Answers are scored by what the system prompt asked for."""
    monkeypatch.setattr(specs, "find_judge", lambda *_: persona_kit.InstructionJudge())
    for module in (kept_inputs, three_steps):
        monkeypatch.setattr(module, "require_judge", lambda *_: None)


@pytest.fixture
def extracted(cli, judged, model, trait, tmp_path):
    options = ["--samples", "2", "--least-pairs", "2", "--run", tmp_path / "run", *FEW]
    return cli("persona", "extract", model, trait, *options, "--json")


def test_extract(cli, extracted, model, trait, tmp_path):
    assert extracted.code == 0, extracted.err
    result = json.loads(extracted.out)
    assert result["trait"] == "loud"
    assert [row["layer"] for row in result["layers"]] == [0, 1, 2]
    assert result["filter"] == {"pairs": 16, "kept": 16, "left_out": "none failed"}
    assert "extract/loud: answers" in extracted.err
    saved = PersonaVectors.load(tmp_path / "run/extract/loud/vectors.safetensors")
    assert saved.norms.tolist() == pytest.approx([row["norm"] for row in result["layers"]])
    assert "loud" in Path(result["report"]).read_text()

    again = cli("runs", "resume", tmp_path / "run")
    assert again.code == 0
    assert json.loads(again.out) == result | {"estimate": None}  # nothing is left to be answered
    assert f"going on with {tmp_path / 'run'}" in again.err


def test_extract_with_other_settings_is_refused(cli, extracted, model, trait, tmp_path):
    other = cli("persona", "extract", model, trait, "--seed", "1", "--run", tmp_path / "run", *FEW)
    assert other.code == 2
    assert "made with another config" in other.err


def test_sweep_steer_show(cli, extracted, model, trait, tmp_path):
    run = ["--run", tmp_path / "run", *FEW]
    swept = cli(
        "persona", "sweep", model, trait, "--layers", "0,1", "--coefficients", "1,2", "--questions", "2", *run
    )
    # Without system prompts the judge gives every answer 10, so no point qualifies: said, and nothing lost.
    assert swept.code == 2
    assert "no layer and coefficient raises 'loud'" in swept.err
    assert swept.out.count("10") >= 4
    assert (tmp_path / "run/sweep/loud/sweep.json").exists()

    refused = cli("persona", "steer", model, trait, *run)
    assert refused.code == 2
    assert "no layer and coefficient" in refused.err

    chosen = ["--layer", "1", "-c", "2", "--question", "Why?", "--judge", "exact"]
    steered = cli("persona", "steer", model, trait, *chosen, *run, "--json")
    assert steered.code == 0, steered.err
    summary = json.loads(steered.out)
    assert (summary["layer"], summary["coefficient"]) == (1, 2.0)
    assert summary["unsteered"] == 10.0
    assert "this will be" in steered.err
    again = cli("persona", "steer", model, trait, *chosen, *run, "--json")
    assert json.loads(again.out) == {**summary, "estimate": None}
    assert "this will be" not in again.err

    (shown,) = json.loads(cli("persona", "show", tmp_path / "run", "--json").out)
    assert shown["sweep"] is None
    assert shown["steering"]["unsteered"] == 10.0
    table = cli("persona", "show", tmp_path / "run").out
    assert "d_prime" in table
    assert "steering" in table


def test_steer_without_a_sweep_wants_layer_and_coefficient(cli, extracted, model, trait, tmp_path):
    result = cli("persona", "steer", model, trait, "--layer", "1", "--run", tmp_path / "run", *FEW)
    assert result.code == 2
    assert "give --layer and --coefficient, or --steer, or sweep first" in result.err


def _load_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the class: a module first imported meanwhile would keep a function that was put in its place."""
    monkeypatch.setattr(Model, "load", lambda *_, **__: pytest.fail("a model was loaded"))


def test_forgetting_the_judge_costs_nothing(cli, monkeypatch, model, trait, tmp_path):
    """Neither a model is loaded nor a folder left."""
    _load_nothing(monkeypatch)
    wrong = [
        (["extract", model, trait], "choose who scores the answers"),
        (["extract", model, trait, "--judge", "endpoint:x"], "needs its address: --base-url"),
        (["extract", model, trait, "--judge", "oracle"], "there is no judge 'oracle'"),
        (["extract", model, trait, "--judge", "contrast", "--samples", "1"], "give --samples 2 or more"),
        (["sweep", model, trait, "--judge", "exact"], "there are no vectors in"),
        (
            ["steer", model, trait, "--steer", "loud@1", "--judge", "contrast"],
            "there is no contrast judge in",
        ),
        (["steer", model, trait, "--steer", "loud@", "--question", "Why?"], "column 6"),
        (["steer", model, "--question", "Why?"], "without a trait say what to steer by"),
        (["steer", model, "--judge", "exact"], "name the trait that is scored"),
    ]
    for arguments, says in wrong:
        result = cli("persona", *arguments, "--run", tmp_path / "run")
        assert result.code == 2, arguments
        assert says in result.err
        assert "\n" not in result.err.strip()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["monitor", "M", "data.jsonl", "--vectors", "v.pt"], "--vectors: no such file or folder: v.pt"),
        (["screen", "M", "data.jsonl", "--vectors", "v.pt"], "--vectors: no such file or folder: v.pt"),
        (["shift", "M", "T", "--vectors", "v.pt"], "--vectors: no such file or folder: v.pt"),
        (["import", "M", "v.pt", "v.safetensors"], "SOURCE: no such file or folder: v.pt"),
    ],
)
def test_files_are_looked_for_before_a_model_is_loaded(cli, monkeypatch, tmp_path, arguments, says):
    monkeypatch.chdir(tmp_path)
    _load_nothing(monkeypatch)
    Path("data.jsonl").write_text('{"prompt": "Ask", "response": "Answer"}\n')
    result = cli("persona", *arguments)
    assert (result.code, result.err.strip().splitlines()[-1]) == (2, f"error: {says}")
    assert not (tmp_path / "runs").exists()


def test_texts_side_by_side_need_no_judge(cli, extracted, model, trait, tmp_path):
    options = ["--question", "Why?", "--n-random", "1", "--run", tmp_path / "run", *FEW]
    done = cli("persona", "steer", model, trait, "--steer", "9 loud@0-1", *options, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["steered"], result["steered_by"]) == (None, "9 loud@0-1")
    (compared,) = result["texts"]
    assert list(compared["answers"]) == ["unsteered", "steered", "against", "random"]
    assert compared["answers"]["steered"] != compared["answers"]["unsteered"]
    file = tmp_path / "run/extract/loud/vectors.safetensors"
    alone = cli("persona", "steer", model, "--steer", f"9 {file}@0-1", *options)
    assert alone.code == 0, alone.err
    assert "Why?" in alone.out
    for arm in ("unsteered", "steered", "against", "by a random vector"):
        assert arm in alone.out


def test_export_and_import(cli, extracted, model, tmp_path):
    source = tmp_path / "run/extract/loud/vectors.safetensors"
    for name, layers in (("v.pt", (0, 1)), ("v.gguf", (1, 2))):
        assert cli("persona", "export", source, tmp_path / name).code == 0
        back = tmp_path / f"{name}.safetensors"
        taken = cli("persona", "import", model, tmp_path / name, back)
        assert taken.code == 0
        assert "not in the file: with which coefficient" in taken.out + taken.err
        ours, theirs = PersonaVectors.load(source), PersonaVectors.load(back)
        assert theirs.layers == layers
        for layer in layers:
            torch.testing.assert_close(theirs.answer_mean[layer], ours.answer_mean[layer])
    assert "must end in .pt or .gguf" in cli("persona", "export", source, tmp_path / "v.txt").err


def test_too_few_pairs_leave_a_page_to_read(cli, judged, model, trait, tmp_path):
    run = ["--samples", "2", "--least-pairs", "100", "--run", tmp_path / "run", *FEW]
    result = cli("persona", "extract", model, trait, *run)
    assert result.code == 2
    assert f"read the answers on {tmp_path / 'run' / 'report.html'}" in result.err
    page = (tmp_path / "run/report.html").read_text()
    for text in ("too few pairs", "What of 0?", "What of 1?", "told to show it", "told not to"):
        assert text in page


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--shard-rows", "7"], "--shard-rows: Input should be a multiple of 2"),
        (["--threshold", "x"], "Invalid value for '--threshold'"),
        (["--least-pairs", "100"], "only 16 of 16 pairs of answers are usable"),
        (["--dtype", "int4"], "unknown dtype 'int4'"),
    ],
)
def test_bad_options(cli, judged, model, trait, tmp_path, options, says):
    run = ["--samples", "2", "--run", tmp_path / "run", "--max-new-tokens", "6"]
    result = cli("persona", "extract", model, trait, *run, *options)
    assert result.code == 2
    assert says in result.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sweep", "MODEL", "TRAIT", "--layers", "1.5"], "'1.5' is not a list of numbers"),
        (["sweep", "MODEL", "TRAIT", "--coefficients", "-1"], "coefficients must be above 0"),
        (["sweep", "MODEL", "TRAIT"], "run `mindscope persona extract` first"),
        (["extract", "MODEL", "TRAIT"], "choose who scores the answers"),
        (["extract", "MODEL", "TRAIT", "--judge", "wise"], "no judge 'wise'"),
        (["extract", "MODEL", "TRAIT", "--judge", "endpoint:x"], "an endpoint needs its address"),
        (["extract", "MODEL", "TRAIT", "--judge", "exact"], "knows the organism's characters, not 'loud'"),
        (["extract", "MODEL", "kind"], "no bundled trait 'kind'"),
        (["extract", "MODEL", "organism:kind"], "no character 'kind'"),
        (["extract", "./nowhere", "evil", "--judge", "none"], "there is no folder ./nowhere"),
        (["show", "nowhere.safetensors"], "no such file"),
        (["show", "."], "holds no vectors.safetensors"),
        (["traits", "--save", "x.yaml"], "name the trait to save"),
        (
            ["artifacts", "calm", "x.txt", "--description", "d", "--writer", "model:x"],
            "must end in .yaml or .json",
        ),
        (["artifacts", "calm", "x.yaml", "--description", "d", "--writer", "me"], "no writer 'me'"),
    ],
)
def test_bad_input(cli, monkeypatch, model, trait, tmp_path, arguments, says):
    monkeypatch.chdir(tmp_path)
    names = {"MODEL": str(model), "TRAIT": str(trait)}
    few = FEW if arguments[0] in ("extract", "sweep") else []
    result = cli("persona", *(names.get(each, each) for each in arguments), *few)
    assert result.code == 2
    assert says in result.err
    assert result.err.strip().splitlines()[-1].startswith("error: ")


def test_traits(cli, tmp_path):
    names = [entry["name"] for entry in json.loads(cli("persona", "traits", "--json").out)]
    assert "evil" in names
    assert "organism:evil" in names
    assert "sycophantic" in cli("persona", "traits").out
    assert json.loads(cli("persona", "traits", "evil", "--json").out)["name"] == "evil"
    assert "name: evil" in cli("persona", "traits", "organism:evil").out
    assert cli("persona", "traits", "evil", "--save", tmp_path / "evil.yaml").code == 0
    assert "name: evil" in (tmp_path / "evil.yaml").read_text()


def test_artifacts_never_overwrite(cli, tmp_path):
    (tmp_path / "calm.yaml").write_text("mine")
    result = cli(
        "persona", "artifacts", "calm", tmp_path / "calm.yaml", "--description", "d", "--writer", "model:x"
    )
    assert result.code == 2
    assert "exists" in result.err
    assert (tmp_path / "calm.yaml").read_text() == "mine"
