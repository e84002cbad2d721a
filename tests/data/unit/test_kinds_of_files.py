"""Kinds of files: suffixes, compression, folders with splits, columns by other names, copies of some rows."""

import gzip
import json

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from form_kit import PACKERS
from pyarrow import parquet

from mindscope.data import SUFFIXES, ConversationSource, DataFile, parse_columns, read_conversations
from mindscope.data.files import base
from mindscope.errors import DataError

ROWS = [{"question": f"q{i}", "answer": f'a{i}\u00fc\n"x"'} for i in range(5)]


def write(path, rows=ROWS):
    """A file of the kind that its name says."""
    name = path.name.lower()
    compression = next((end for end in PACKERS if end and name.endswith(end)), "")
    inner = name.removesuffix(compression)
    if inner.endswith(".parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path
    if inner.endswith((".csv", ".tsv")):
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t" if inner.endswith("tsv") else ",")
        writer.writerows([["question", "answer"], *([row["question"], row["answer"]] for row in rows)])
        content = text.getvalue()
    elif inner.endswith(".json"):
        content = json.dumps(rows, ensure_ascii=False, indent=2)
    else:
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(PACKERS[compression](content.encode()))
    return path


def answers(data, **options):
    return [conversation.answer for conversation in read_conversations(data, **options)]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JSONL", ".Json.GZ"])
def test_every_suffix(suffix, tmp_path):
    path = write(tmp_path / f"data{suffix}")
    assert answers(path) == [row["answer"] for row in ROWS]
    assert DataFile.of(path).name == "data"
    source = ConversationSource.of(path)
    assert (source.size, source.name) == (5, "data")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_copy_of_some_rows_is_of_the_same_kind(suffix, tmp_path):
    path, target = write(tmp_path / f"data{suffix}"), tmp_path / f"kept{suffix}"
    assert DataFile.of(path).copy(target, lambda number: number % 2 == 1) == 3
    assert answers(target) == [row["answer"] for row in ROWS[::2]]


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
def test_a_compressed_file_that_was_cut_is_named(compression, tmp_path):
    path = write(tmp_path / f"data.jsonl{compression}", ROWS * 200)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"{path} is not a whole {compression[1:]} file"):
        answers(path)
    path.write_bytes(b"{}\n")
    with pytest.raises(DataError, match=f"is not a {compression[1:]} file"):
        answers(path)


def test_a_compressed_file_by_a_wrong_name_is_told(tmp_path):
    (tmp_path / "data.jsonl").write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(DataError, match=r"is compressed: give its name the ending \.gz"):
        answers(tmp_path / "data.jsonl")


def test_members_of_a_gzip_file_are_read_on(tmp_path):
    halves = [json.dumps(row).encode() + b"\n" for row in ROWS]
    (tmp_path / "data.jsonl.gz").write_bytes(b"".join(map(gzip.compress, halves)))
    assert len(answers(tmp_path / "data.jsonl.gz")) == 5


@pytest.mark.parametrize(
    "content",
    [
        '[{"question": "q", "answer": "a"}]',
        '\ufeff [ {"question": "q", "answer": "a"}\n ] ',
        '{"question": "q", "answer": "a"}\n',
        '{"data": [{"question": "q", "answer": "a"}], "version": "1"}',
        '{"question":\n "q",\n "answer": "a"}',
    ],
)
def test_json_files(content, tmp_path):
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    assert answers(tmp_path / "x.json") == ["a"]


def test_json_lines_in_a_json_file(tmp_path):
    (tmp_path / "x.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert len(answers(tmp_path / "x.json")) == 5


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "must be a list of rows: it begins with ''"),
        ("[]", "is empty"),
        ("3", "must be a list of rows: it begins with '3'"),
        ('[{"question": "q"', "row 1: not JSON"),
        ('[{"question": "q", "answer": "a"} {}]', "a comma is missing"),
        ('[{"question": "q", "answer": "a"},]', "a value is missing"),
        ('[{"question": "q", "answer": "a"}] x', "there is more behind the list"),
        ('[{"question": "q", "answer": "a"}, 3]', "row 2: an object is needed"),
        ("[" * 100_000, "nested too deeply"),
        (b'[{"question": "\xff"}]', "row 1: the text is not UTF-8"),
    ],
)
def test_malformed_json_files(content, reason, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=reason) as caught:
        answers(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
def test_json_is_read_in_pieces_of_any_size(piece, tmp_path, monkeypatch):
    from mindscope.data.files import json_array

    monkeypatch.setattr(json_array, "_PIECE", piece)
    rows = [
        {"question": "q" * 150, "answer": '\u00fc\\"' * 40, "n": -1.5e300, "list": [1, [2]]} for _ in range(4)
    ]
    (tmp_path / "x.json").write_text(json.dumps(rows, ensure_ascii=False))
    assert answers(tmp_path / "x.json") == [row["answer"] for row in rows]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_a_row_without_an_end_is_refused(suffix, tmp_path, monkeypatch):
    from mindscope.data.files import delimited, json_array, json_lines

    for module in (delimited, json_array, json_lines):
        monkeypatch.setattr(module, "LONGEST_ROW", 1000)
    monkeypatch.setattr(json_array, "_PIECE", 100)
    opening = {".jsonl": '{"question": "', ".json": '[{"question": "', ".csv": 'question,answer\n"'}[suffix]
    (tmp_path / f"x{suffix}").write_text(opening + "x" * 5000)
    with pytest.raises(DataError, match=base.TOO_LONG):
        answers(tmp_path / f"x{suffix}")


def test_two_columns_of_one_name_are_refused_and_nameless_ones_are_not(tmp_path):
    (tmp_path / "two.csv").write_text("question,answer,answer\na,b,c\n")
    with pytest.raises(DataError, match="line 1: two columns are called 'answer'"):
        answers(tmp_path / "two.csv")
    (tmp_path / "more.csv").write_text("question,answer,,\na,b,,\n")
    assert answers(tmp_path / "more.csv") == ["b"]


@pytest.mark.parametrize(
    "content", ['{"question": "a", "answer": "b", "answer": "c"}', '[{"a": {"b": 1, "b": 2}}]']
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_key_twice_is_refused(content, suffix, tmp_path):
    (tmp_path / f"x{suffix}").write_text(content)
    with pytest.raises(DataError, match=r"the key '(answer|b)' is given twice"):
        answers(tmp_path / f"x{suffix}")


def test_a_cell_in_pythons_notation_is_told(tmp_path):
    (tmp_path / "x.csv").write_text("messages\n\"[{'role': 'user', 'content': 'x'}]\"\n")
    with pytest.raises(DataError, match=r"Python's own notation: write it with json\.dumps"):
        answers(tmp_path / "x.csv")


def test_folders_of_files_with_splits(tmp_path):
    for name, rows in (
        ("train-00000-of-00002", ROWS[:2]),
        ("train-00001-of-00002", ROWS[2:]),
        ("test", ROWS[:1]),
    ):
        (tmp_path / "data").mkdir(exist_ok=True)
        write(tmp_path / "data" / f"{name}.parquet", rows)
    (tmp_path / "dataset_infos.json").write_text('{"default": {}}')
    (tmp_path / ".cache").mkdir()
    write(tmp_path / ".cache" / "x.jsonl")
    assert len(answers(tmp_path, split="train")) == 5
    assert answers(tmp_path, split="test") == [ROWS[0]["answer"]]
    with pytest.raises(DataError, match=r"has the splits test, train: name one \(--split test\)"):
        answers(tmp_path)
    with pytest.raises(DataError, match="has no split dev"):
        answers(tmp_path, split="dev")
    places = [record.place for record in DataFile(tmp_path, "train").records()]
    assert places[2] == "data/train-00001-of-00002.parquet, row 1"
    target = tmp_path.parent / f"{tmp_path.name}-kept"
    assert DataFile(tmp_path, "train").copy(target, lambda number: number in (1, 5)) == 2
    assert answers(target) == [ROWS[0]["answer"], ROWS[4]["answer"]]


def test_folders_without_splits_and_of_unlike_files(tmp_path):
    write(tmp_path / "b.jsonl", ROWS[2:])
    write(tmp_path / "a.jsonl", ROWS[:2])
    assert answers(tmp_path) == [row["answer"] for row in ROWS]
    with pytest.raises(DataError, match="has no splits: leave --split out"):
        answers(tmp_path, split="train")
    write(tmp_path / "c.csv")
    with pytest.raises(DataError, match=r"files of several kinds \(\.csv, \.jsonl\)"):
        answers(tmp_path)


def test_a_split_of_a_saved_dataset_is_copied(tmp_path):
    data = Dataset.from_list(ROWS)
    DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "saved"))
    file = DataFile(tmp_path / "saved", "test")
    assert file.copy(tmp_path / "kept", lambda number: number == 2) == 1
    assert answers(tmp_path / "kept") == [ROWS[1]["answer"]]
    with pytest.raises(DataError, match="one file of JSON lines and has no splits"):
        answers(write(tmp_path / "x.jsonl"), split="train")


def test_columns_by_other_names(tmp_path):
    rows = [{"ask": "q", "reply": {"text": "a"}, "response": "other"}]
    path = write(tmp_path / "x.jsonl", rows)
    columns = parse_columns(["question=ask", "answer=reply.text"])
    (conversation,) = read_conversations(path, columns=columns)
    assert (conversation.prompt[0]["content"], conversation.answer) == ("q", "a")
    turns = [{"talk": [{"who": "user", "says": "q"}, {"who": "assistant", "says": "a"}]}]
    path = write(tmp_path / "y.jsonl", turns)
    columns = parse_columns(["messages=talk", "role=who", "content=says"])
    assert answers(path, columns=columns) == ["a"]
    with pytest.raises(DataError, match=r"has no column replies \(--columns answer=replies\): it has talk"):
        answers(path, columns={"answer": "replies"})


@pytest.mark.parametrize("text", ["answer", "answer=", "=reply", "reply=answer"])
def test_columns_that_are_not_understood(text):
    with pytest.raises(DataError, match="write OURS=THEIRS, such as answer=reply"):
        parse_columns([text])


def test_a_digest_is_of_how_the_rows_are_read_too(tmp_path):
    path = write(tmp_path / "x.jsonl")
    plain = ConversationSource.of(path).digest
    swapped = DataFile(path, columns={"question": "answer", "answer": "question"})
    assert ConversationSource.of(swapped).digest != plain
    assert ConversationSource.of(ConversationSource.of(path)).digest == plain


@pytest.mark.slow
def test_memory_does_not_grow_with_a_file(tmp_path):
    """A list of 40 MB is read with a tenth of it in memory at most."""
    import tracemalloc

    row = json.dumps({"question": "q" * 2000, "answer": "a" * 2000})
    path = tmp_path / "x.json"
    path.write_text("[" + ",\n".join([row] * 10_000) + "]")
    tracemalloc.start()
    assert sum(1 for _ in read_conversations(path)) == 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 40_000_000
    assert peak < 8_000_000
