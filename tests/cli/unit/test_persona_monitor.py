"""`mindscope persona monitor` on a tiny model: recorded answers, answers under watch, thresholds kept."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch
from peft import LoraConfig, get_peft_model

from mindscope.models import load
from mindscope.personas import PersonaVectors

FEW = ["--dtype", "float32", "--window", "2", "--layer", "0,2"]


def written(path: Path, talks: list[list[str]]) -> Path:
    roles = ("user", "assistant")
    rows = [
        {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(talk)]}
        for talk in talks
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("monitor")
    model = load(str(persona_kit.tiny_chat_model(folder / "model")), dtype="float32")
    matrix = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    PersonaVectors("loud", model.fingerprint, {"answer_mean": matrix}, (0, 1, 2)).save(
        folder / "vectors.safetensors"
    )
    written(folder / "ordinary.jsonl", [[f"ask {i}", f"say {i}"] for i in range(24)])
    written(folder / "chats.jsonl", [["a", "XX!", "b", "so", "c", "%%%"], ["b", "say 7"], ["d"]])
    written(folder / "asks.jsonl", [[f"ask {i}"] for i in range(20)])
    return {file.stem: file for file in folder.iterdir()}


def start(kit, run, *options):
    base = ["persona", "monitor", kit["model"], kit["chats"], "--vectors", kit["vectors"]]
    return [*base, "--run", run, *FEW, *options]


def test_a_fine_tune_is_monitored_with_the_vectors_of_its_base(cli, kit, tmp_path):
    """In one command: an adapter on the kit's model, its base's vectors, and thresholds of the fine-tune."""
    base = load(str(kit["model"]), dtype="float32")
    wrapped = get_peft_model(base.hf, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    wrapped.save_pretrained(tmp_path / "tuned")
    command = start(kit | {"model": tmp_path / "tuned"}, tmp_path / "run", "--calibrate", kit["ordinary"])
    refused = cli(*command)
    assert refused.code == 2
    assert "was tuned from it, so add --vectors-of-base" in refused.err
    done = cli(*command, "--false-alarms", "0.1", "--vectors-of-base", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert {artifact["relation"] for artifact in result["borrowed"]} == {"tuned from"}
    assert result["calibration"]["conversations"] == 24


def test_recorded_conversations(cli, kit, tmp_path):
    run = tmp_path / "run"
    options = ["--calibrate", kit["ordinary"], "--false-alarms", "0.1", "--policy", "warn"]
    done = cli(*start(kit, run, *options, "--json"))
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["conversations"] == 3
    assert result["calibration"]["conversations"] == 24
    assert [row["feature"] for row in result["features"]] == [
        "loud/answer_mean@resid_post.0",
        "loud/answer_mean@resid_post.2",
    ]
    lines = [json.loads(line) for line in Path(result["table"]).read_text().splitlines()]
    assert [line["turns"] for line in lines] == [3, 1, 1]
    assert lines[0]["features"]["loud/answer_mean@resid_post.0"]["drift"]["turns"] == 3
    assert result["alarmed"] == sum(bool(line["alarms"]) for line in lines) > 0
    crossings = [event for line in lines for event in line["events"] if event["kind"] == "crossed"]
    plain = cli(*start(kit, run, *options))
    assert f"going on with {run}" in plain.err
    assert plain.err.count("line 1, turn") == len([e for e in lines[0]["events"] if e["kind"] == "crossed"])
    assert crossings
    # The terminal names where alarms began, with the words before, and explains its columns.
    first = next(event for event in lines[0]["events"] if event["kind"] == "crossed")
    assert f"line 1, turn {first['turn']}, token {first['token']}: {first['feature']} at" in plain.out
    assert "soon: alarms within the first two answers" in plain.err
    assert result["n_places"] == len(crossings)
    assert [place["event"] for place in result["places"]] == crossings[:10]
    assert all(place["words"] for place in result["places"])
    control = result["features"][0]["control"]
    assert control["directions"] == 200
    assert 0 <= control["percentile"] <= 100
    page = Path(result["report"]).read_text()
    assert "Answers that raised alarms" in page
    assert "Over the turns" in page

    kept = cli(*start(kit, tmp_path / "other", "--thresholds", run / "thresholds.safetensors", "--json"))
    again = json.loads(kept.out)
    # Thresholds out of a file bring no ordinary conversations to hold random directions against.
    assert again["features"] == [row | {"control": None} for row in result["features"]]
    looser = ["--thresholds", run / "thresholds.safetensors", "--false-alarms", "0.5", "--json"]
    more = json.loads(cli(*start(kit, tmp_path / "third", *looser)).out)
    assert all(
        a["threshold"] < b["threshold"] for a, b in zip(more["features"], result["features"], strict=True)
    )


@pytest.mark.parametrize("policy", ["stop", "steer"])
def test_answers_under_watch(cli, kit, tmp_path, policy):
    options = ["--calibrate", kit["ordinary"], "--false-alarms", "0.5", "--answer", "--max-new-tokens", "8"]
    asked = start({**kit, "chats": kit["asks"]}, tmp_path / "run", *options, "--window", "1")
    done = cli(*asked, "--policy", policy, "-c", "2", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    lines = [json.loads(line) for line in Path(result["table"]).read_text().splitlines()]
    assert all(line["turns"] == 1 for line in lines)
    if policy == "stop":
        assert result["halted"] == sum(line["answer"]["finish"] == "halted" for line in lines) > 0
    else:
        assert result["steered"] == sum(line["answer"]["steered"] > 0 for line in lines) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "stop"], "add --answer"),
        (["--policy", "warn"], "needs thresholds"),
        (["--calibrate", "x.jsonl", "--thresholds", "y"], "one of them"),
        (["--calibrate", "ORDINARY"], "24 ordinary conversations are too few"),
        (["--layer", "9"], "there is no layer 9"),
    ],
)
def test_bad_use_is_refused(cli, kit, tmp_path, options, said):
    options = [kit["ordinary"] if option == "ORDINARY" else option for option in options]
    done = cli(*start(kit, tmp_path / "run", *options))
    assert (done.code, said in done.err) == (2, True), done.err


def test_malformed_rows_are_named_or_left_out(cli, kit, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(
        kit["chats"].read_text() + '{"messages": [{"role": "robot", "content": "x"}]}\n{"messages": []}\n'
    )
    arguments = start({**kit, "chats": bad}, tmp_path / "run")
    refused = cli(*arguments)
    assert (refused.code, f"{bad}, line 4" in refused.err) == (2, True)
    kept = cli(*arguments, "--on-error", "skip", "--json")
    assert json.loads(kept.out)["left_out"] == 2
    assert json.loads(kept.out)["conversations"] == 3


def test_without_thresholds_it_says_that_nothing_could_alarm(cli, kit, tmp_path):
    done = cli(*start(kit, tmp_path / "run"))
    assert done.code == 0, done.err
    assert "3 conversations; without thresholds nothing could alarm" in " ".join(done.out.split())
    assert "0 in alarm" not in done.out
