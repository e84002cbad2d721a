"""Screening killed, fed with bad rows, pointed at changed files: nothing is lost, nothing is touched."""

import json
import random
from pathlib import Path

import pytest
import screening_kit as kit
from event_kit import killed_at, watch_events
from pyarrow import parquet

from mindscope.errors import DataError
from mindscope.models import Model
from mindscope.screening import ScreenConfig, screen_dataset, write_filtered
from mindscope.store import Run

CONFIG = ScreenConfig(layers=1, max_new_tokens=6, window=8, shard_rows=4, batch_rows=1, top=3, subsample=6)


def job(model: Model, data: Path, folder: Path, form: str) -> Path:
    """The folder of the results."""
    with Run.open(folder, kind="test", config={}) as run:
        config = CONFIG.model_copy(update={"form": form})
        found = screen_dataset(model, data, kit.vectors(model, "loud", "late"), config, run, reference=data)
        return run.path / found.folder


EVENTS = ((Model, "forward_pass"), (Run, "save_tensors"), (Run, "save_json"))
"""Before every forward pass and before every piece is written."""


@pytest.mark.parametrize("form", ["exact", "sample"])
def test_killed_anywhere_the_end_is_the_same(tiny: Model, tmp_path: Path, form: str) -> None:
    data = kit.write(tmp_path / "data.jsonl", [*kit.chats(17), *kit.CHATS])
    with pytest.MonkeyPatch().context() as patch:
        counter = watch_events(patch, EVENTS)
        whole = job(tiny, data, tmp_path / "whole", form)
    dice = random.Random(form)
    kills = [
        killed_at(dice.randint(1, counter.n_events // 3), EVENTS, job, tiny, data, tmp_path / "run", form)
        for _ in range(6)
    ]
    assert sum(kills) >= 3
    found = job(tiny, data, tmp_path / "run", form)
    for name in ("scores.parquet", "screening.json"):
        assert (found / name).read_bytes() == (whole / name).read_bytes()


def test_other_vectors_generate_nothing(
    tiny: Model, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    screen_dataset(tiny, data, kit.vectors(tiny, "loud"), CONFIG, run)

    def again(*_: object, **__: object) -> None:
        raise AssertionError("generated a second time")

    monkeypatch.setattr(Model, "generate_unordered", again)
    other = screen_dataset(tiny, data, kit.vectors(tiny, "late", seed=5), CONFIG, run)
    monkeypatch.undo()
    with Run.open(tmp_path / "fresh", kind="test", config={}) as fresh:
        afresh = screen_dataset(tiny, data, kit.vectors(tiny, "late", seed=5), CONFIG, fresh)
    ours, theirs = other.of("late").mean, afresh.of("late").mean
    assert ours is not None
    assert theirs is not None
    assert ours.mean == pytest.approx(theirs.mean, abs=1e-4)
    assert [each.own for each in other.of("late").ranked] == [each.own for each in afresh.of("late").ranked]


GOOD = {"messages": kit.CHATS[0]}
BAD = {
    "not JSON": "{oops",
    "messages[0].role is 'robot'": {"messages": [{"role": "robot", "content": "Hi"}]},
    "messages[1] is an empty answer": {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " \n"}]
    },
    "there is no answer of an assistant": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages[0] is the assistant's": {"messages": [{"role": "assistant", "content": "Hi"}]},
    "messages[2] is the assistant's again": {
        "messages": [*kit.CHATS[0], {"role": "assistant", "content": "And more."}]
    },
    "response must be text, this is missing": {"prompt": "Hi", "response": None},
    "but the model takes 512": {"prompt": "Hi", "response": "long " * 200},
}


def lines(path: Path, rows: list) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("reason", BAD)
def test_a_malformed_row_is_refused_by_file_and_line_or_left_out(
    tiny: Model, run: Run, tmp_path: Path, reason: str
) -> None:
    data = lines(tmp_path / "data.jsonl", [GOOD, BAD[reason], GOOD])
    config = CONFIG.model_copy(update={"form": "prompt"})
    with pytest.raises(DataError) as caught:
        screen_dataset(tiny, data, kit.vectors(tiny, "loud"), config, run)
    assert str(caught.value).startswith(f"{data}, line 2: ")
    assert reason in str(caught.value)

    skip = config.model_copy(update={"on_error": "skip"})
    found = screen_dataset(tiny, data, kit.vectors(tiny, "loud"), skip, run)
    assert (found.samples, found.left_out) == (2, 1)
    assert reason in found.left_out_first[0]
    rows = parquet.read_table(run.path / found.folder / "scores.parquet").to_pylist()
    assert [(row["row"], row["line"]) for row in rows] == [(1, 1), (3, 3)]


def test_what_cannot_be_screened_is_said_in_one_line(tiny: Model, run: Run, tmp_path: Path) -> None:
    loud = kit.vectors(tiny, "loud")
    skip = CONFIG.model_copy(update={"on_error": "skip", "form": "prompt"})
    bad = lines(tmp_path / "bad.jsonl", ["{", "["])
    with pytest.raises(DataError, match=r"no conversation to score; the first row: .*line 1: not JSON"):
        screen_dataset(tiny, bad, loud, skip, run)
    with pytest.raises(DataError, match="cannot read"):
        screen_dataset(tiny, tmp_path / "absent.jsonl", loud, CONFIG, run)
    with pytest.raises(DataError, match="two sets of vectors of 'loud'"):
        screen_dataset(tiny, bad, loud * 2, CONFIG, run)
    with pytest.raises(DataError, match="no vectors"):
        screen_dataset(tiny, bad, [], CONFIG, run)
    with pytest.raises(DataError, match="there is no layer 9"):
        screen_dataset(tiny, bad, loud, CONFIG.model_copy(update={"layers": 9}), run)
    with pytest.raises(DataError, match="layers name 'quiet'"):
        screen_dataset(tiny, bad, loud, CONFIG.model_copy(update={"layers": {"quiet": 1}}), run)


def test_a_model_that_says_nothing_leaves_a_gap_and_poisons_nothing(
    tiny: Model, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kit.write(tmp_path / "data.jsonl", kit.chats(6))
    silent = tiny.chat([kit.chats(6)[2][0]]).ids  # type: ignore[list-item]
    whole = Model.generate_unordered

    def sometimes(self: Model, rows, *args, **kwargs):
        for i, generation in whole(self, rows, *args, **kwargs):
            if rows[i].ids == silent:
                reads = {name: values[:0] for name, values in generation.reads.items()}
                yield i, type(generation)(rows[i], "", "stop", reads)
            else:
                yield i, generation

    monkeypatch.setattr(Model, "generate_unordered", sometimes)
    found = screen_dataset(tiny, data, kit.vectors(tiny, "loud"), CONFIG, run)
    rows = parquet.read_table(run.path / found.folder / "scores.parquet").to_pylist()
    assert [row["loud_dp"] is None for row in rows] == [False, False, True, False, False, False]
    assert rows[2]["loud_percentile"] is None
    assert rows[2]["loud_flag"] is False
    assert found.of("loud").unscored == 1
    mean = found.of("loud").mean
    assert mean is not None
    known = [row["loud_dp"] for row in rows if row["loud_dp"] is not None]
    assert mean.mean == pytest.approx(sum(known) / 5, abs=1e-5)
    kept = write_filtered(run, found, data, tmp_path / "kept.jsonl", keep_below=-1e9)
    assert kept == 1  # a sample without a score passes


def test_the_filtered_copy_never_replaces_anything(tiny: Model, run: Run, tmp_path: Path) -> None:
    data = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    before = data.read_bytes()
    config = CONFIG.model_copy(update={"form": "prompt"})
    found = screen_dataset(tiny, data, kit.vectors(tiny, "loud"), config, run)
    taken = tmp_path / "taken.jsonl"
    taken.write_text("mine")
    for target, reason in ((data, "exists"), (taken, "exists"), (tmp_path / "a.csv", r"must end in \.jsonl")):
        with pytest.raises(DataError, match=reason):
            write_filtered(run, found, data, target, drop_above=50)
    assert taken.read_text() == "mine"
    with pytest.raises(DataError, match="a percentile, 0 to 100"):
        write_filtered(run, found, data, tmp_path / "b.jsonl", drop_above=101)
    with pytest.raises(DataError, match="say what to leave out"):
        write_filtered(run, found, data, tmp_path / "b.jsonl")
    data.write_bytes(before + before)
    with pytest.raises(DataError, match="has changed since"):
        write_filtered(run, found, data, tmp_path / "b.jsonl", drop_above=50)
    assert not (tmp_path / "b.jsonl").exists()
    assert data.read_bytes() == before + before
