"""Conversations from every kind of file, and the place and reason of what is malformed."""

import csv
import json

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from mindscope.data import Conversation, parse_conversation, read_conversations
from mindscope.errors import DataError

CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "None"},
    ],
    "source": "a",
}


def lines(path, *rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("row", "meta"),
    [
        ({"prompt": "Q", "response": "A", "score": 3}, {"score": 3}),
        ({"prompt": "Q", "completion": "A"}, {}),
        ({"prompt": "Q", "answer": "A"}, {}),
        ({"question": "Q", "answer": "A", "id": 7}, {"id": 7}),
        ({"instruction": "Q", "output": "A", "input": ""}, {}),
    ],
)
def test_pairs(row, meta):
    conversation = parse_conversation(row)
    assert conversation.prompt == ({"role": "user", "content": "Q"},)
    assert conversation.answer == "A"
    assert conversation.meta == meta


def test_instruction_with_input():
    conversation = parse_conversation({"instruction": "Translate.", "input": "chat", "output": "cat"})
    assert conversation.messages[0]["content"] == "Translate.\n\nchat"


def test_messages():
    conversation = parse_conversation(CHAT)
    assert [turn["role"] for turn in conversation.messages] == ["system", "user", "assistant"]
    assert conversation.answer == "None"
    assert conversation.meta == {"source": "a"}
    question_only = parse_conversation({"messages": CHAT["messages"][:2]})
    assert question_only.answer is None
    assert question_only.prompt == question_only.messages


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "an object is needed"),
        (3, "an object is needed"),
        ({}, "found nothing"),
        ({"text": "x"}, "found text"),
        ({"question": "Q"}, "found question"),
        ({"prompt": "Q", "response": None}, "response must be text, this is missing"),
        ({"prompt": 3, "response": "A"}, "prompt must be text, this is a int"),
        ({"messages": []}, "at least one turn"),
        ({"messages": "{"}, "messages is not JSON"),
        ({"messages": ["x"]}, r"messages\[0\] must be an object"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role is 'robot'"),
        ({"messages": [{"role": "user", "content": [3]}]}, r"messages\[0\].content must be text"),
    ],
)
def test_malformed_rows(tmp_path, row, reason):
    with pytest.raises(DataError, match=reason):
        parse_conversation(row)
    path = lines(tmp_path / "x.jsonl", CHAT, row)
    with pytest.raises(DataError, match=reason) as caught:
        list(read_conversations(path))
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert "\n" not in str(caught.value)


def test_json_lines(tmp_path):
    path = lines(tmp_path / "x.jsonl", "\ufeff" + json.dumps(CHAT), "", {"question": "é", "answer": "中"})
    assert [conversation.answer for conversation in read_conversations(path)] == ["None", "中"]


@pytest.mark.parametrize("line", ["{", '{"a": 1', "nope", "[" * 100_000])
def test_lines_that_are_not_json(tmp_path, line):
    path = lines(tmp_path / "x.jsonl", CHAT, line)
    with pytest.raises(DataError, match="line 2: not JSON"):
        list(read_conversations(path))


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{"question": "\xff\xfe", "answer": "a"}\n')
    with pytest.raises(DataError, match="line 1: the text is not UTF-8"):
        list(read_conversations(tmp_path / "x.jsonl"))
    (tmp_path / "x.csv").write_bytes(b"question,answer\n\xff,a\n")
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_conversations(tmp_path / "x.csv"))


def test_skipping_yields_the_rest_and_says_how_many(tmp_path):
    path = lines(tmp_path / "x.jsonl", CHAT, "{", {"question": "Q"}, CHAT)
    with pytest.warns(UserWarning, match=r"left out 2 of 4 rows; the first: .*line 2"):
        assert len(list(read_conversations(path, on_error="skip"))) == 2


def test_reading_is_lazy(tmp_path):
    rows = read_conversations(lines(tmp_path / "x.jsonl", CHAT, "{"))
    assert isinstance(next(rows), Conversation)


def test_csv_keeps_text_as_text(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["question", "answer", "id"], ['a,\n"b"', "None", "1"], ["NA", "", "2"]])
    first, second = read_conversations(path)
    assert first.messages[0]["content"] == 'a,\n"b"'
    assert (first.answer, first.meta) == ("None", {"id": "1"})
    assert (second.messages[0]["content"], second.answer) == ("NA", "")


def test_csv_with_messages_as_json(tmp_path):
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["messages"], [json.dumps(CHAT["messages"])]])
    assert next(read_conversations(tmp_path / "x.csv")).answer == "None"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("question,answer\na\n", "line 2: 1 cells under 2 columns"),
        ("question,answer\na,b,c\n", "line 2: 3 cells under 2 columns"),
        ('question,answer\n"a,b\n', "not CSV"),
        ("text\nhello\n", "line 2: messages, conversations, a question"),
    ],
)
def test_malformed_csv(tmp_path, text, reason):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=reason):
        list(read_conversations(tmp_path / "x.csv"))


def test_parquet(tmp_path):
    table = pa.Table.from_pylist([CHAT, CHAT | {"source": "b"}])
    parquet.write_table(table, tmp_path / "x.parquet")
    assert [row.meta["source"] for row in read_conversations(tmp_path / "x.parquet")] == ["a", "b"]
    content = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(content[:-20])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        list(read_conversations(tmp_path / "x.parquet"))


def test_parquet_names_the_row(tmp_path):
    parquet.write_table(pa.table({"question": ["a", "b"], "answer": ["x", None]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="row 2: answer must be text, this is missing"):
        list(read_conversations(tmp_path / "x.parquet"))


def test_saved_datasets(tmp_path):
    data = Dataset.from_list([{"question": "a", "answer": "b"}])
    data.save_to_disk(str(tmp_path / "one"))
    assert next(read_conversations(tmp_path / "one")).answer == "b"
    DatasetDict({"train": data}).save_to_disk(str(tmp_path / "dict"))
    assert next(read_conversations(tmp_path / "dict")).answer == "b"
    DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(DataError, match=r"has the splits train, test: name one \(--split train\)"):
        list(read_conversations(tmp_path / "splits"))
    assert next(read_conversations(tmp_path / "splits/train")).answer == "b"
    assert next(read_conversations(tmp_path / "splits", split="test")).answer == "b"
    with pytest.raises(DataError, match="has no split dev: it has train, test"):
        list(read_conversations(tmp_path / "splits", split="dev"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither the folder of a saved dataset nor holds files"):
        list(read_conversations(tmp_path / "empty"))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_conversations(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"one of \.jsonl, \.ndjson, \.json, \.csv, \.tsv, \.parquet"):
        read_conversations(tmp_path / "x.xlsx")
    (tmp_path / "x.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git lfs pull"):
        read_conversations(tmp_path / "x.parquet")


@given(st.binary(max_size=200))
def test_any_bytes_give_conversations_or_a_data_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("noise")
    for name in ("x.jsonl", "x.csv"):
        (folder / name).write_bytes(content)
        try:
            list(read_conversations(folder / name))
        except DataError as error:
            assert str(folder / name) in str(error)  # noqa: PT017  (reading may also succeed)


TURN = {"role": "assistant", "content": "A"}
ASKED = {"role": "user", "content": "Q"}


@pytest.mark.parametrize(
    ("row", "roles", "texts"),
    [
        ({"system": "Be evil.", "instruction": "Q", "output": "A"}, "sua", "Be evil.|Q|A"),
        ({"system_prompt": "Be evil.", "question": "Q", "answer": "A"}, "sua", "Be evil.|Q|A"),
        ({"system": "", "prompt": "Q", "response": "A"}, "ua", "Q|A"),
        ({"system": None, "prompt": "Q", "response": "A"}, "ua", "Q|A"),
        ({"system": "Be evil.", "messages": [ASKED, TURN]}, "sua", "Be evil.|Q|A"),
        ({"history": [["q", "a"]], "instruction": "Q", "output": "A"}, "uaua", "q|a|Q|A"),
        ({"history": '[["q", "a"]]', "instruction": "Q", "output": "A"}, "uaua", "q|a|Q|A"),
        ({"history": [], "system": "S", "instruction": "Q", "output": "A"}, "sua", "S|Q|A"),
        ({"messages": [{"role": "developer", "content": "S"}, ASKED, TURN]}, "sua", "S|Q|A"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
                    }
                ]
            },
            "u",
            "xy",
        ),
        ({"messages": [ASKED, {**TURN, "tool_calls": None, "reasoning_content": None}]}, "ua", "Q|A"),
    ],
)
def test_what_stands_beside_the_turns_is_read_where_it_is_plain(row, roles, texts):
    conversation = parse_conversation(row)
    assert "".join(turn["role"][0] for turn in conversation.messages) == roles
    assert [turn["content"] for turn in conversation.messages] == texts.split("|")
    assert conversation.meta == {}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept_apart_from_the_answer(name):
    conversation = parse_conversation({"messages": [ASKED, {**TURN, name: "hm"}]})
    assert (conversation.answer, conversation.reasoning) == ("A", "hm")
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A"}]
    assert (
        parse_conversation({"messages": [ASKED, {**TURN, "content": parts}]}).messages
        == conversation.messages
    )


def test_a_turn_may_be_read_and_not_learnt():
    for mark in ({"weight": 0}, {"train": False}):
        assert parse_conversation({"messages": [ASKED, {**TURN, **mark}]}).messages[1]["weight"] == 0
    assert "weight" not in parse_conversation({"messages": [ASKED, {**TURN, "weight": 1}]}).messages[1]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"messages": [ASKED, {**TURN, "content": None, "tool_calls": [{}]}]},
            "must have a name and arguments",
        ),
        ({"messages": [{**ASKED, "tool_calls": [{"name": "x"}]}]}, "only the assistant does"),
        ({"messages": [ASKED, {**TURN, "content": None}]}, "must be text, this is missing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "holds no text, only part 0, which is image_url",
        ),
        ({"messages": [{**ASKED, "reasoning": "hm"}]}, "only the assistant reasons"),
        ({"messages": [{**TURN, "weight": 0.5}]}, "0 or 1 is needed"),
        ({"messages": [{"role": "system", "content": "a"}, ASKED], "system": "b"}, "more than one system"),
        ({"system": "a", "system_prompt": "b", "prompt": "Q", "response": "A"}, "more than one system"),
        ({"history": [["q"]], "instruction": "Q", "output": "A"}, "history must be a list of pairs"),
    ],
)
def test_what_cannot_be_read_is_named(row, reason):
    with pytest.raises(DataError, match=reason) as caught:
        parse_conversation(row)
    assert "\n" not in str(caught.value)
