"""`feature alarm` and `feature concepts` on latents whose meaning is planted: each stands for one token."""

import json
from pathlib import Path

import persona_kit
import pytest
import torch
from torch import Tensor

from mindscope.cli import main
from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.models import Model, Raw, Read, Row, load
from mindscope.organism.world import build_world

STATES = 12
LOUD, HALF = 0, 1
"""Latents of the alarm's dictionary: one for the token “!”, one for about half of all tokens."""


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["feature", *map(str, arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, *capsys.readouterr()


def planted(model: Model, tokens: list[int], others: Tensor) -> Dictionary:
    """Latent i is active on tokens[i] alone: no other token's embedding goes as far along that one's own."""
    row = Row(tuple(tokens), 0)
    (vectors,) = model.read([row], {"x": Read("embeddings", Raw("all"))})["x"].values
    W_enc = vectors / vectors.square().sum(1, keepdim=True)
    site = [Site("embeddings", model.d_model)]
    b_enc = torch.tensor([-0.8] * len(tokens) + [0.0] * len(others))
    W_dec = torch.randn(len(b_enc), model.d_model, generator=torch.Generator().manual_seed(0))
    coder, b_dec = Coder(torch.cat([W_enc, others]), b_enc, W_dec), torch.zeros(model.d_model)
    return Dictionary.single(
        coder, b_dec, reads=site, writes=site, activation="relu", models={"0": model.fingerprint}
    )


def talks(path: Path, answers: list[str | None]) -> Path:
    with path.open("w") as file:
        for number, answer in enumerate(answers):
            asked = [{"role": "user", "content": f"ask {number}"}]
            said = [] if answer is None else [{"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": asked + said}) + "\n")
    return path


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("alarm")
    model = load(str(persona_kit.tiny_chat_model(folder / "model", d_model=64)), dtype="float32")
    (loud,) = model.tokenizer.encode("!", add_special_tokens=False)
    half = torch.randn(1, 64, generator=torch.Generator().manual_seed(1))
    planted(model, [loud], half).save(folder / "latents.safetensors")
    talks(folder / "ordinary.jsonl", ["say", "so be it", "well", "ah!"] * 6)
    talks(folder / "chats.jsonl", ["quiet", "no! no!", "yes", "stop!"])
    talks(folder / "asks.jsonl", [None] * 8)
    return {file.stem: file for file in folder.iterdir()}


def alarm(kit: dict[str, Path], data: str, latent: int, folder: Path, *options: object) -> list[object]:
    named = ["alarm", kit["model"], kit["latents"], kit[data], "--latents", latent, "--window", 1]
    return [*named, "--run", folder, "--dtype", "float32", *options]


def watched(capsys: pytest.CaptureFixture[str], arguments: list[object]) -> tuple[dict, list[dict]]:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert "Alarms" in Path(result["report"]).read_text()
    return result, [json.loads(line) for line in Path(result["table"]).read_text().splitlines()]


def test_an_alarm_is_raised_where_the_latent_is_active(kit, tmp_path, capsys):
    rate = ["--calibrate", kit["ordinary"], "--false-alarms", 0.3, "--policy", "warn"]
    result, lines = watched(capsys, alarm(kit, "chats", LOUD, tmp_path, *rate))
    assert [bool(line["alarms"]) for line in lines] == [False, True, False, True]
    began = [line["events"][0]["token"] for line in lines if line["events"]]
    assert began == ["no!".index("!"), "stop!".index("!")]  # one byte is one token
    assert result["alarmed"] == 2
    told = run(capsys, *alarm(kit, "chats", LOUD, tmp_path, *rate))[2]
    assert "line 2, turn 0: latent 0@embeddings is at" in told
    kept = ["--thresholds", tmp_path / "thresholds.safetensors"]
    again, _ = watched(capsys, alarm(kit, "chats", LOUD, tmp_path / "again", *kept))
    assert again["features"] == result["features"]
    other = run(capsys, *alarm(kit, "chats", HALF, tmp_path / "other", *kept))
    assert other[0] == 2, "thresholds of one latent are not another's"


def test_stopping_and_steering_begin_at_the_alarm(kit, tmp_path, capsys):
    options = ["--calibrate", kit["ordinary"], "--false-alarms", 0.5, "--answer", "--max-new-tokens", 12]
    seen = {}
    for policy in ("log", "stop", "steer"):
        folder = tmp_path / policy
        acting = ["--policy", policy, "-c", 20]
        seen[policy] = watched(capsys, alarm(kit, "asks", HALF, folder, *options, *acting))
    alarmed = [line["events"][0]["token"] for line in seen["log"][1] if line["events"]]
    assert len(alarmed) == seen["stop"][0]["halted"] == seen["steer"][0]["steered"] > 2
    changed = 0
    for free, stopped, steered in zip(*(lines for _, lines in seen.values()), strict=True):
        if not free["events"]:
            assert free["answer"]["text"] == stopped["answer"]["text"] == steered["answer"]["text"]
            continue
        assert stopped["answer"]["finish"] == "halted"
        assert free["answer"]["text"].startswith(stopped["answer"]["text"].rstrip("\ufffd"))
        for other in (stopped, steered):  # in another batch a reading differs by float32's rounding
            assert other["events"][0] == free["events"][0] | {
                "value": pytest.approx(free["events"][0]["value"], rel=1e-5)
            }
        assert steered["answer"]["steered"] > 0
        changed += steered["answer"]["text"] != free["answer"]["text"]
    assert changed > 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--calibrate"),
        (["--calibrate", "ordinary", "--policy", "stop"], "add --answer"),
        (["--calibrate", "ordinary"], "24 ordinary conversations are too few"),
    ],
)
def test_bad_use_is_refused(kit, tmp_path, capsys, options, said):
    options = [kit.get(option, option) for option in options]
    code, _, err = run(capsys, *alarm(kit, "chats", LOUD, tmp_path, *options))
    assert (code, said in err) == (2, True), err


def test_concepts_are_found_where_they_were_planted(tmp_path, capsys):
    model = load("organism", dtype="float32")
    states = list(build_world().states)[:STATES]
    tokens = [model.tokenizer.encode(state, add_special_tokens=False) for state in states]
    assert all(len(one) == 1 for one in tokens)
    noise = torch.randn(8, model.d_model, generator=torch.Generator().manual_seed(2)) / model.d_model
    planted(model, [one for (one,) in tokens], noise).save(tmp_path / "latents.safetensors")
    page = tmp_path / "concepts.html"
    code, out, err = run(
        capsys,
        "concepts",
        "organism",
        tmp_path / "latents.safetensors",
        "--scale",
        0.1,
        "--page",
        page,
        "--json",
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["skipped"]
    known = [number for number, state in enumerate(states) if f"state: {state}" in found["concepts"]]
    assert len(known) >= STATES // 2
    for number in known:
        best = found["concepts"][f"state: {states[number]}"]
        assert (best["feature"], best["f1"]) == (number, 1.0)
    assert max(best["f1"] for name, best in found["concepts"].items() if name.startswith("country")) < 0.9
    assert found["groups"]["state"][0] >= len(known)
    assert "state: " + states[known[0]] in page.read_text()
