"""`mindscope runs`."""

import json
from pathlib import Path

import pytest

from mindscope.store import Run, read_run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(path, command=("runs", "list", "elsewhere", "--json")) -> None:
    with Run.open(path, kind="extract", config={"k": 1}, fingerprint="abc", command=command) as run:
        run.save_json("shards/0.json", [1])


def test_list(cli, here):
    assert "no runs under runs" in cli("runs", "list").err
    assert json.loads(cli("runs", "list", "--json").out) == []
    make("runs/one")
    table = cli("runs", "list").out
    assert "runs/one" in table
    assert "done" in table
    (run,) = json.loads(cli("runs", "list", "--json").out)
    assert (run["path"], run["kind"], run["status"]) == ("runs/one", "extract", "done")


def test_show(cli, here):
    make("one")
    shown = cli("runs", "show", "one").out
    for part in ("config.k", "abc", "mindscope runs list elsewhere --json", "shards/0.json"):
        assert part in shown
    document = json.loads(cli("runs", "show", "one", "--json").out)
    assert document["record"]["config"] == {"k": 1}
    assert "shards/0.json" in document["pieces"]


def test_resume_gives_the_command_again_where_it_was_given(cli, here, monkeypatch):
    make("one")
    elsewhere = here / "far"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = cli("runs", "resume", "../one")
    assert result.code == 0
    assert "mindscope runs list elsewhere --json" in result.err
    assert json.loads(result.out) == []
    assert Path.cwd() == here


def test_resume_hands_on_errors(cli, here):
    make("one", command=["runs", "show", "nowhere"])
    result = cli("runs", "resume", "one")
    assert result.code == 2
    assert "nowhere is not a run folder" in result.err


@pytest.mark.parametrize(
    ("command", "says"),
    [((), "not started from the command line"), (("runs", "resume", "one"), "names no command")],
)
def test_resume_refuses(cli, here, command, says):
    make("one", command=command)
    result = cli("runs", "resume", "one")
    assert result.code == 2
    assert says in result.err


def test_resume_where_the_folder_is_gone(cli, here):
    make("one")
    record = json.loads(Path("one/run.json").read_text())
    Path("one/run.json").write_text(json.dumps(record | {"folder": str(here / "gone")}))
    assert "which is gone" in cli("runs", "resume", "one", "--yes").err


def test_a_killed_run_is_shown_as_killed(cli, here):
    Run.open("one", kind="extract", config={}).close()
    assert read_run("one").status == "killed"
    assert json.loads(cli("runs", "list", ".", "--json").out)[0]["status"] == "killed"


def change_record(path: Path, **changes: object) -> None:
    record = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(record | changes))


def test_a_folder_from_elsewhere_is_asked_about(cli, here, monkeypatch):
    """Its command is shown and not given; `--yes` gives it."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_STATE_HOME", str(here / "their state"))
        make("theirs", command=["persona", "traits", "evil", "--save", "out.yaml"])
    refused = cli("runs", "resume", "theirs")
    assert refused.code == 2
    assert "mindscope persona traits evil --save out.yaml" in refused.err
    assert "--yes" in refused.err
    assert not (here / "out.yaml").exists()
    assert cli("runs", "resume", "theirs", "--yes").code == 0
    assert (here / "out.yaml").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"command": ["persona", "traits", "evil", "--save", "out.yaml"]},
        {"folder": "/"},
        {"seal": None},
        {"seal": "0" * 64},
        {"seal": 7},
    ],
)
def test_a_record_that_was_changed_is_asked_about(cli, here, changes):
    make("one")
    change_record(Path("one"), **changes)
    assert "was made elsewhere, moved or changed" in cli("runs", "resume", "one").err
    assert not (here / "out.yaml").exists()


def test_a_folder_that_was_moved_is_asked_about(cli, here):
    make("one")
    Path("one").rename("two")
    assert "was made elsewhere, moved or changed" in cli("runs", "resume", "two").err


def test_a_machine_that_keeps_no_key_asks_always(cli, here, monkeypatch):
    (here / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "file"))
    make("one")
    assert "was made elsewhere" in cli("runs", "resume", "one").err
    assert cli("runs", "resume", "one", "--yes").code == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["persona", "traits", "evil", "--save", "out.yaml"], "does not go on with a run"),
        (["organism", "dictionaries", "--run", "other"], "works in other"),
    ],
)
def test_a_command_that_leaves_its_run_is_refused(cli, here, command, says):
    make("one", command=command)
    result = cli("runs", "resume", "one")
    assert result.code == 2
    assert says in result.err
    assert sorted(path.name for path in here.iterdir()) == ["one"]


def test_a_command_shows_no_orders_to_the_terminal(cli, here):
    make("one", command=["runs", "show", "\x1b[2J"])
    result = cli("runs", "resume", "one")
    assert "\x1b" not in result.err
    assert "\\u001b[2J" in result.err
