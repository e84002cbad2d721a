"""Runs: settings, pieces, metrics, status."""

import json
from pathlib import Path

import pytest
import torch

from mindscope.errors import StoreError
from mindscope.store import Run, list_runs, read_run

CONFIG = {"layers": [1, 2], "sampling": {"temperature": 1.0}}


def open_run(path, **changes) -> Run:
    return Run.open(
        path, **({"kind": "extract", "config": CONFIG, "fingerprint": "abc", "seed": 1} | changes)
    )


def test_pieces_and_resume(tmp_path):
    with open_run(tmp_path / "r") as run:
        assert not run.resumed
        assert not run.has("shards/0.json")
        run.save_json("shards/0.json", {"scores": [1, None]})
        run.save_tensors("shards/0.safetensors", {"x": torch.tensor([1.0, float("nan")])})
    with open_run(tmp_path / "r") as run:
        assert run.resumed
        assert run.load_json("shards/0.json") == {"scores": [1, None]}
        assert run.load_tensors("shards/0.safetensors")["x"].isnan().tolist() == [False, True]
        assert (run.kind, run.config, run.fingerprint, run.seed) == ("extract", CONFIG, "abc", 1)


def test_status(tmp_path):
    run = open_run(tmp_path / "a")
    assert run.status == "running"
    assert read_run(tmp_path / "a").status == "running"
    run.close()
    assert read_run(tmp_path / "a").status == "killed"
    with open_run(tmp_path / "a"):
        pass
    assert read_run(tmp_path / "a").status == "done"
    with pytest.raises(ValueError, match="x"), open_run(tmp_path / "b"):
        raise ValueError("x")
    assert read_run(tmp_path / "b").status == "failed"
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path / "c"):
        raise KeyboardInterrupt
    assert read_run(tmp_path / "c").status == "interrupted"


def test_finish_writes_the_summary(tmp_path):
    with open_run(tmp_path / "r") as run:
        run.finish(seconds=1.5, report=Path("report.html"))
    assert run.status == "done"
    assert run.load_json("summary.json") == {"seconds": 1.5, "report": "report.html"}


def test_other_settings_are_shown_line_by_line(tmp_path):
    open_run(tmp_path / "r").close()
    with pytest.raises(StoreError) as caught:
        open_run(
            tmp_path / "r", seed=2, config={"layers": [1, 3], "sampling": {"temperature": 1.0, "top_p": 0.9}}
        )
    headline, *differences = str(caught.value).splitlines()
    assert str(tmp_path / "r") in headline
    assert "another folder" in headline
    assert differences == [
        "  config.layers: [1, 2] -> [1, 3]",
        "  config.sampling.top_p: (absent) -> 0.9",
        "  seed: 1 -> 2",
    ]
    with open_run(tmp_path / "r") as run:  # the refusal let go of the folder
        assert run.seed == 1


def test_tuples_and_paths_are_the_same_settings_next_time(tmp_path):
    config = {"layers": (1, 2), "out": tmp_path}
    open_run(tmp_path / "r", config=config).close()
    open_run(tmp_path / "r", config=config).close()


def test_metrics(tmp_path):
    with open_run(tmp_path / "r") as run:
        assert list(run.metrics()) == []
        run.log(step=1, loss=0.5)
        run.log(step=2, loss=float("nan"), note="é")
        assert [line["step"] for line in run.metrics()] == [1, 2]
        second = list(run.metrics())[1]
        assert second["loss"] is None
        assert second["note"] == "é"


def test_torn_last_line_is_tolerated_and_cut(tmp_path):
    with open_run(tmp_path / "r") as run:
        run.log(step=1)
    with (tmp_path / "r/metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    with open_run(tmp_path / "r") as run:
        assert [line["step"] for line in run.metrics()] == [1]
        run.log(step=2)
        assert [line["step"] for line in run.metrics()] == [1, 2]


@pytest.mark.parametrize(
    "name", ["../x.json", "/etc/x.json", "a/../../x.json", ".lock", "", "run.json", "a\\b"]
)
def test_bad_piece_names(tmp_path, name):
    with open_run(tmp_path / "r") as run, pytest.raises(StoreError):
        run.save_json(name, 1)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"thesis\.txt but no run"):
        open_run(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(StoreError, match="cannot use"):
        open_run(tmp_path / "thesis.txt")


def test_command_is_kept_for_resuming(tmp_path):
    open_run(tmp_path / "r", command=["persona", "extract"]).close()
    open_run(tmp_path / "r").close()
    assert read_run(tmp_path / "r").command == ("persona", "extract")
    assert read_run(tmp_path / "r").folder == Path.cwd()


def test_list_runs_newest_first_and_survives_damage(tmp_path):
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "none") == []
    for name in ("first", "deep/second"):
        open_run(tmp_path / name).close()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    runs = list_runs(tmp_path)
    assert [run.path.name for run in runs if run.kind == "extract"] == ["second", "first"]
    assert [run.status for run in runs if run.path == broken] == ["damaged"]


def test_read_run_refuses(tmp_path):
    with pytest.raises(StoreError, match="not a run folder"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(StoreError, match="not the record of a run"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 5},
        {"status": "asleep"},
        {"status": ["running"]},
        {"command": "abc"},
        {"command": [1]},
        {"folder": None},
        {"config": []},
        {"libraries": ["torch"]},
        {"seed": "one"},
        {"fingerprint": 3},
        {"identity": "organism"},
        {"started": "2026-01-01T00:00:00"},  # of no time zone: it could not be sorted among the others
        {"started": 0},
    ],
    ids=str,
)
def test_a_record_with_a_field_of_another_kind_is_damaged(tmp_path, changes):
    for name in ("good", "bad"):
        open_run(tmp_path / name).close()
    file = tmp_path / "bad" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(StoreError, match="not the record of a run"):
        read_run(tmp_path / "bad")
    assert {run.path.name: run.status for run in list_runs(tmp_path)} == {"good": "killed", "bad": "damaged"}


def test_a_record_that_can_be_read_in_two_ways_or_not_written_again_is_damaged(tmp_path):
    open_run(tmp_path / "run").close()
    file = tmp_path / "run" / "run.json"
    good = file.read_text()
    deep = '{"a":' * 600 + "1" + "}" * 600
    for spoilt in (
        good.replace('"seed": 1', '"seed": 1, "seed": 1'),
        good.replace('"seed": 1', '"seed": 1, "more": NaN'),
        good.replace('"seed": 1', f'"seed": 1, "more": {deep}'),
    ):
        assert spoilt != good
        file.write_text(spoilt)
        for read in (lambda: read_run(tmp_path / "run"), lambda: open_run(tmp_path / "run")):
            with pytest.raises(StoreError, match="is not JSON") as caught:
                read()
            assert "\n" not in str(caught.value)
        assert [run.status for run in list_runs(tmp_path)] == ["damaged"]
    file.write_text("[]")
    with pytest.raises(StoreError, match="not the record of a run"):
        open_run(tmp_path / "run")
