"""The whole gate on a tiny model: its sections, its files, its exit code, and killed it goes on."""

import json
import random
from pathlib import Path

import gate_kit
import persona_kit
import pytest
from event_kit import killed_at, watch_events
from markupsafe import escape

from mindscope.cli.app import main
from mindscope.gate import GateResult, ModelCharacter
from mindscope.store import read_json

FILES = ("gate.json", "character.json")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gate_kit.write_bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def counted(bench: Path):
    """A gate that nobody interrupts, and how many events it has at which it could be killed."""
    with pytest.MonkeyPatch.context() as patch:
        counter = watch_events(patch, gate_kit.EVENTS)
        report = gate_kit.run(bench, "whole", patch)
    return report, counter.n_events


@pytest.fixture(scope="module")
def whole(counted):
    return counted[0]


def test_every_section_has_its_checks(bench, whole):
    names = [check.name for section in whole.sections for check in section.checks]
    assert names == [
        "screening/loud", "shift/loud", "behaviour/loud", "behaviour/loud/coherence", "alarms/loud",
        "capability/knowledge", "capability/texts",
    ]  # fmt: skip
    assert all(check.low <= check.estimate <= check.high for check in whole.deciding)
    (note,) = whole.sections[0].notes
    assert "taken on trust" in note  # nothing beside the tuned model says what it was tuned on
    assert GateResult.load(bench / "whole/gate.json").verdict == whole.verdict
    page = (bench / "whole/report.html").read_text()
    assert all(str(escape(check.statement)) in page for check in whole.deciding)
    assert "<script" not in page
    assert "://" not in page


def test_a_policy_turns_the_same_numbers_round(bench, whole, monkeypatch):
    text = gate_kit.POLICY
    loose = bench / "loose.toml"
    loose.write_text(
        text.replace('{form = "exact"}', '{form = "exact", max_flagged = 0.99}')
        .replace("{samples = 1}", "{samples = 1, max_rise = 100, max_coherence_loss = 100}")
        .replace("watched = 12}", "watched = 12, max_alarms = 0.99}")
        .replace("texts = 12}", "texts = 12, max_loss = 100, max_nats = 100}")
        + "shift = {max_share = 100}\n"
    )
    report = gate_kit.run(bench, "loose", monkeypatch, policy=loose)
    assert (report.verdict, report.exit_code, report.reasons) == ("pass", 0, ())
    measured = [check.estimate for check in report.deciding]
    assert measured == [check.estimate for check in whole.deciding]


def test_without_a_judge_behaviour_is_no_evidence(bench, monkeypatch):
    report = gate_kit.run(bench, "unjudged", monkeypatch, judge="none")
    named = {check.name: check for check in report.deciding}
    assert named["behaviour/loud"].verdict == "not enough evidence"
    assert "nobody judges" in named["behaviour/loud"].reason


def test_without_ordinary_chats_there_is_not_enough_evidence(bench, monkeypatch):
    policy = bench / "sections.toml"
    policy.write_text(
        gate_kit.POLICY.replace("{samples = 1}", '{effect = "skip"}') + 'shift = {effect = "report"}\n'
    )
    report = gate_kit.run(bench, "lacking", monkeypatch, policy=policy, ordinary=None)
    verdicts = {check.name: check.verdict for check in report.deciding}
    for name in ("screening/loud", "alarms/loud", "capability/texts"):
        assert verdicts[name] == "not enough evidence"
    assert "shift/loud" not in verdicts
    assert report.verdict in ("not enough evidence", "fail")
    assert report.exit_code == {"not enough evidence": 3, "fail": 1}[report.verdict]


def test_the_command_line_ends_with_the_verdict(bench, whole, monkeypatch, capsys):
    folder = {"--data": "data.jsonl", "--ordinary": "ordinary.jsonl", "--vectors": "loud.safetensors"}
    options = [word for name, file in folder.items() for word in (name, str(bench / file))]
    options += ["--policy", str(bench / "policy.toml"), "--judge", "model:judge", "--dtype", "float32"]
    monkeypatch.setattr("mindscope.gate.preparing.find_judge", lambda *_: persona_kit.HashJudge())
    words = ["gate", str(bench / "base"), str(bench / "tuned"), *options, "--run", str(bench / "whole")]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == whole.exit_code != 0
    assert json.loads(capsys.readouterr().out)["verdict"] == whole.verdict


def test_a_character_is_verified_and_a_change_is_noticed(bench, whole, capsys):
    file = bench / "whole/character.json"
    words = ["gate", "verify", str(file), "--base", str(bench / "base"), "--tuned", str(bench / "tuned")]
    words += ["--data", str(bench / "data.jsonl"), "--policy", str(bench / "policy.toml")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().out.count("right") == 6
    with pytest.raises(SystemExit) as ended:
        main(["gate", "verify", str(file), "--tuned", str(bench / "base")])
    assert ended.value.code == 1
    document = read_json(file)
    assert str(bench) not in json.dumps(document)  # it is to be published
    document["checks"][0]["estimate"] = 0.0
    (bench / "forged.json").write_text(json.dumps(document))
    with pytest.raises(SystemExit) as ended:
        main(["gate", "verify", str(bench / "forged.json")])
    assert ended.value.code == 1
    assert ModelCharacter.load(file).digest == ModelCharacter.load(file).expected_digest()


def _killed(bench: Path, name: str, event: int) -> bool:
    return killed_at(event, gate_kit.EVENTS, gate_kit.run, bench, name, pytest.MonkeyPatch(), seconds=120)


@pytest.mark.parametrize(
    ("seed", "kills"),
    [
        (0, 3),
        *(pytest.param(seed, 5, marks=pytest.mark.long) for seed in range(1, 5)),
    ],
)
def test_killed_anywhere_it_ends_with_the_same_bytes(bench, counted, monkeypatch, seed, kills):
    """Three kills, and twenty in the long tests: each run is killed twice, or at last once."""
    n_events = counted[1]
    assert n_events > 40
    dice = random.Random(seed)
    n_killed = 0
    for attempt in range(kills):
        name, again = f"killed-{seed}-{attempt // 2}", attempt % 2
        # What was killed before has fewer events left: its second kill comes early.
        n_killed += _killed(bench, name, dice.randint(1, n_events // (4 if again else 1)))
        if again or attempt == kills - 1:
            gate_kit.run(bench, name, monkeypatch)
            for file in FILES:
                assert (bench / name / file).read_bytes() == (bench / "whole" / file).read_bytes()
    assert n_killed >= kills - kills // 2
