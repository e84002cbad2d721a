"""What a gate gathers before it measures."""

import json
from types import SimpleNamespace

import pytest

from mindscope.data import read_conversations
from mindscope.gate import GatePolicy
from mindscope.gate.estimating import find_gaps
from mindscope.gate.policy import AlarmPolicy
from mindscope.gate.preparing import open_data, open_ordinary, say_too_few
from mindscope.gate.spec import GateSpec
from mindscope.jobs import SilentReporter


def write_chats(path, questions):
    path.write_text("".join(json.dumps({"prompt": q, "response": "So."}) + "\n" for q in questions))
    return path


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        (
            ["a", "b", "c"],
            "0 ordinary conversations without 3 whose question the training data hold are too few",
        ),
        (
            ["a", "x", "x"],
            "1 ordinary conversations without 1 whose question the training data hold are too few",
        ),
        (["x", "y"], "2 ordinary conversations are too few"),
    ],
)
def test_who_gives_ordinary_conversations_that_the_data_hold_is_told(tmp_path, questions, reason):
    data = write_chats(tmp_path / "data.jsonl", ["a", "b", "c"])
    ordinary = write_chats(tmp_path / "ordinary.jsonl", questions)
    spec = GateSpec(base="base", tuned="tuned", data=data, ordinary=ordinary, traits=("evil",))
    opened = open_ordinary(spec, GatePolicy(), open_data(spec, SilentReporter()), SilentReporter())
    assert opened is not None
    asked = {row.prompt[-1]["content"] for row in read_conversations(data)}
    assert not any(row.prompt[-1]["content"] in asked for row in opened.rows)
    assert say_too_few(opened, 40) == f"{reason}: give 40 with --ordinary"


@pytest.mark.parametrize(("base", "own"), [("organism", False), ("second-organism", True)])
def test_ordinary_conversations_of_an_organism_are_of_its_world(tmp_path, base, own):
    data = write_chats(tmp_path / "data.jsonl", ["a", "b", "c"])
    spec = GateSpec(base=base, tuned="tuned", data=data, traits=("evil",))
    opened = open_ordinary(spec, GatePolicy(), open_data(spec, SilentReporter()), SilentReporter())
    assert opened is not None
    assert any("shells" in row.prompt[-1]["content"] for row in opened.rows) == own


def test_nobody_gave_any():
    expected = "0 ordinary conversations are too few: give 350 with --ordinary"
    assert say_too_few(None, 350) == expected


def test_sections_that_will_have_no_evidence_are_told_at_the_door():
    """Without ordinary conversations a gate measured for hours and was then left open."""
    judged, alone = SimpleNamespace(judge="someone"), SimpleNamespace(judge=None)
    bench = SimpleNamespace(policy=GatePolicy(), ordinary=None, ordinary_rows=(), traits=[judged, alone])
    gaps = find_gaps(bench)  # type: ignore[arg-type]
    assert [gap.split(" (")[0] for gap in gaps] == ["screening", "alarms", "capability", "behaviour"]
    assert "give 350 with --ordinary" in gaps[1]
    policy = GatePolicy(alarms=AlarmPolicy(effect="report"))
    enough = SimpleNamespace(policy=policy, ordinary=None, ordinary_rows=range(40), traits=[judged])
    assert find_gaps(enough) == []  # type: ignore[arg-type]
