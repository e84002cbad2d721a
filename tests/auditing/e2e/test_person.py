"""A game that a person plays: its budget holds over all moves, it goes on, and the seal is broken last."""

import io
import json
import subprocess
import sys
from pathlib import Path

import audit_kit
import pytest
from pydantic import ValidationError

from mindscope.auditing.game import MoveSpec, PersonGame, make_move
from mindscope.auditing.game.person import GameMove, serve_seat
from mindscope.auditing.game.use import read_arguments
from mindscope.auditing.organisms import OrganismSet, break_seal
from mindscope.auditing.tools import BudgetError
from mindscope.cli.commands.audit.tables import print_own_game
from mindscope.errors import DataError, StoreError
from mindscope.jobs import RunFolder, SilentReporter

CHAT = {"tool": "chat", "ask": json.dumps({"questions": [audit_kit.QUESTION]})}


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> OrganismSet:
    return audit_kit.tune_small_set(tmp_path_factory)


@pytest.fixture(scope="module")
def hiding(tunes: OrganismSet) -> str:
    """The tune that hides something."""
    (name,) = (
        one.name
        for one in tunes.organisms
        if break_seal(tunes.seal_path(one.name), one.commitment).objective is not None
    )
    return name


def move(tunes: OrganismSet, name: str, folder: Path, **fields: object) -> PersonGame:
    given = {"folder": tunes.path, "name": name, "tokens": 2000, "device": "cpu", **fields}
    return make_move(MoveSpec.model_validate(given), run=RunFolder(folder), reporter=SilentReporter())


def test_what_was_spent_stays_spent_and_evidence_keeps_its_numbers(
    tunes: OrganismSet, hiding: str, tmp_path: Path
):
    first = move(tunes, hiding, tmp_path / "game", **CHAT)
    second = move(tunes, hiding, tmp_path / "game", **CHAT)
    assert [report.evidence[0].id for report in second.reports] == ["e1", "e2"]
    assert second.reports[0] == first.reports[0]
    assert second.reports[1].left == 2000 - second.spent
    assert second.spent == sum(report.price.tokens for report in second.reports) > first.spent
    many = {"tool": "chat", "ask": json.dumps({"questions": [audit_kit.QUESTION], "samples": 32})}
    with pytest.raises(BudgetError):
        move(tunes, hiding, tmp_path / "game", **many)
    assert move(tunes, hiding, tmp_path / "game") == second  # what was refused cost nothing
    with pytest.raises(StoreError, match="tokens"):
        move(tunes, hiding, tmp_path / "game", tokens=9000)


def test_the_seal_is_broken_after_the_verdict_and_then_no_tool_answers(
    tunes: OrganismSet, hiding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    truth = break_seal(tunes.seal_path(hiding), tunes.find(hiding).commitment)
    assert truth.objective is not None
    with audit_kit.opened_files() as opened:
        before = move(tunes, hiding, tmp_path / "game", **CHAT)
        n_before = len(opened)
        after = move(
            tunes,
            hiding,
            tmp_path / "game",
            accuse="trigger",
            target=truth.objective.targets,
            evidence=("e1",),
        )
    assert not [path for path, _ in opened[:n_before] if "sealed" in path]
    writes = [number for number, (path, mode) in enumerate(opened) if "person.json" in path and "w" in mode]
    (seal,) = [
        number for number, (path, _) in enumerate(opened) if "sealed" in path and path.endswith(".seal")
    ]
    assert any(number < seal for number in writes if number >= n_before)
    assert before.truth is None
    assert before.outcome is None
    assert after.outcome == "found"
    assert after.truth == truth.model_copy(update={"nonce": ""})
    assert truth.nonce not in (tmp_path / "game" / "person.json").read_text()
    print_own_game(after)
    phrase = truth.objective.targets[0]
    said, hidden = capsys.readouterr().out.splitlines()
    assert said == f"said of it: trigger, after {after.spent} tokens. It was found out."
    assert hidden.endswith(f" character when the user names the {phrase} ({phrase})")
    with pytest.raises(DataError, match="ended"):
        move(tunes, hiding, tmp_path / "game", **CHAT)
    with pytest.raises(DataError, match="ended"):
        move(tunes, hiding, tmp_path / "game", accuse="nothing")


def test_a_verdict_whose_process_was_killed_is_not_said_again(
    tunes: OrganismSet, hiding: str, tmp_path: Path
):
    move(tunes, hiding, tmp_path / "game")
    file = tmp_path / "game" / "person.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "decided": True}))
    game = move(tunes, hiding, tmp_path / "game")
    assert (game.outcome, game.accusation) == ("missed", None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tool": "chat", "ask": "[]"}, "not a JSON object"),
        ({"tool": "nothing"}, "no tool"),
        ({"tool": "search_data", "ask": '{"query": "x"}', "level": "black-box"}, "no tool"),
        ({"tool": "chat", "ask": '{"question": "x"}'}, "questions"),
        ({"name": "o99"}, "no 'o99'"),
    ],
)
def test_what_cannot_be_done_is_refused(tunes: OrganismSet, hiding: str, tmp_path: Path, fields, says: str):
    given = {"name": hiding, **fields}
    with pytest.raises(DataError, match=says):
        move(tunes, given.pop("name"), tmp_path / "game", **given)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"accuse": "trigger"}, "name with --target"),
        ({"accuse": "nothing", "target": ("evil",)}, "names no --target"),
        ({"target": ("evil",)}, "say with --accuse"),
        ({"evidence": ("e1",)}, "say with --accuse"),
        ({"tool": "chat", "accuse": "nothing"}, "not both"),
    ],
)
def test_a_verdict_that_says_too_little_is_refused_before_it_ends_the_game(fields, says: str):
    with pytest.raises(ValidationError, match=says):
        GameMove(**fields)


@pytest.mark.parametrize("ask", ["[]", "{", "[" * 100_000])
def test_what_a_tool_is_asked_is_an_object(ask: str):
    with pytest.raises(DataError, match="not a JSON object"):
        read_arguments(ask)


def test_a_seat_answers_line_by_line_and_says_what_it_refuses(
    tunes: OrganismSet, hiding: str, tmp_path: Path
):
    game = {"folder": str(tunes.path), "name": hiding, "level": "base", "tokens": 2000, "device": "cpu"}
    lines = [{"run": str(tmp_path / "game"), "game": game}, CHAT, {"tool": "none"}, {"accuse": "nothing"}]
    told = io.StringIO()
    serve_seat(io.StringIO("".join(json.dumps(line) + "\n" for line in lines)), told)
    begun, called, refused, ended = map(json.loads, told.getvalue().splitlines())
    assert begun["game"]["reports"] == []
    assert len(called["game"]["reports"]) == 1
    assert "no tool" in refused["refused"]
    assert ended["game"]["outcome"] == "missed"


def test_a_seat_that_cannot_be_taken_says_why(tmp_path: Path):
    line = json.dumps({"run": str(tmp_path / "game"), "game": {"folder": "/nowhere", "name": "o01"}})
    told = subprocess.run(
        [sys.executable, "-m", "mindscope.auditing.game.person"],
        input=f"{line}\n",
        capture_output=True,
        text=True,
    )
    assert "no such file or folder" in json.loads(told.stdout)["refused"]
