"""Data sets by hub name: fetched once, by split and part; one line where there is no network."""

import json
from pathlib import Path
from types import SimpleNamespace

import datasets
import huggingface_hub
import pytest

from mindscope.data import ConversationSource, DataFile, read_conversations
from mindscope.errors import DataError

NAME = "someone/chats"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one data set, read by `datasets` itself out of a folder; `calls` is how often it was."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for split, count in (("train", 5), ("test", 2)):
        lines = (json.dumps({"question": f"{split} {i}", "answer": "a"}) + "\n" for i in range(count))
        (folder / f"{split}.jsonl").write_text("".join(lines))
    state = SimpleNamespace(calls=0, online=True)
    load, names = datasets.load_dataset, datasets.get_dataset_split_names

    def dataset_info(self, name, **_):
        if not state.online or name != NAME:
            raise ConnectionError("no route\nto the host")
        return SimpleNamespace(sha="abc123")

    def load_local(name, config, *, split, revision, streaming):
        assert (name, revision, streaming) == (NAME, "abc123", True)
        state.calls += 1
        return load(str(folder), config, split=split, streaming=True)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "load_dataset", load_local)
    monkeypatch.setattr(
        datasets, "get_dataset_split_names", lambda name, config, revision: names(str(folder))
    )
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return state


def questions(split):
    return [row.prompt[0]["content"] for row in read_conversations(NAME, split=split)]


def test_a_split_and_a_part_of_it(hub):
    assert questions("train") == [f"train {i}" for i in range(5)]
    assert questions("train[1:3]") == ["train 1", "train 2"]
    assert questions("test[:1]") == ["test 0"]
    assert hub.calls == 3


def test_rows_are_fetched_once_and_kept_for_when_there_is_no_network(hub):
    source = ConversationSource.of(DataFile(Path(NAME), "test"))
    assert (source.size, source.name, hub.calls) == (2, "chats", 1)
    assert [record.row["question"] for record in source.records()] == ["test 0", "test 1"]
    assert hub.calls == 1
    hub.online = False
    with pytest.warns(UserWarning, match="the hub cannot be reached: using the rows of someone/chats"):
        assert questions("test") == ["test 0", "test 1"]


@pytest.mark.parametrize(
    ("name", "split", "reason"),
    [
        (NAME, None, r"has the splits .*name one \(--split"),
        (NAME, "dev", "has no split dev: it has"),
        (NAME, "train[x]", r"write a split, CONFIG/SPLIT, or a part of one, such as train\[:1000\]"),
        (
            "someone/else",
            "train",
            "there is no file or folder someone/else, and no such data set can",
        ),
    ],
)
def test_what_cannot_be_fetched(hub, name, split, reason):
    with pytest.raises(DataError, match=reason) as caught:
        list(read_conversations(name, split=split))
    assert "\n" not in str(caught.value)


def test_a_fetch_that_breaks_leaves_nothing_behind(hub, monkeypatch, tmp_path):
    def broken(*_, **__):
        raise RuntimeError("connection lost")

    monkeypatch.setattr(datasets, "load_dataset", broken)
    with pytest.raises(DataError, match="cannot fetch someone/chats: connection lost"):
        questions("train")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_a_path_with_an_ending_is_no_name_of_a_data_set(hub):
    with pytest.raises(DataError, match=r"cannot read some/chats\.jsonl: No such file"):
        list(read_conversations("some/chats.jsonl"))


def test_without_a_network_it_is_said_at_once(monkeypatch, tmp_path):
    """The suite runs with HF_HUB_OFFLINE."""
    monkeypatch.setenv("MINDSCOPE_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"no such data set can be fetched \(.*offline"):
        list(read_conversations("someone/chats"))
