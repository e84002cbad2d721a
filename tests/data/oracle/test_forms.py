"""Every form: a sample as its own documentation has it, what is read of it, and the line for a broken one."""

import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset
from form_kit import SAMPLES, FormSample
from pyarrow import parquet

from mindscope.data import FILE_KINDS, FORMS, ConversationSource, parse_conversation, read_conversations
from mindscope.errors import DataError

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])


@by_name
def test_a_sample_is_read_as_it_is_meant(sample: FormSample) -> None:
    conversation = parse_conversation(sample.row)
    assert conversation.form == sample.form
    assert "".join(turn["role"][0] for turn in conversation.messages) == sample.roles
    assert [turn["content"] for turn in conversation.messages] == list(sample.texts)
    of_pairs = [] if sample.rejected is None else ["left out: rejected answers"]
    assert sorted(conversation.remarks) == sorted([*sample.remarks, *of_pairs])
    assert conversation.reasoning == sample.reasoning
    if sample.rejected is None:
        with pytest.raises(DataError, match="no rejected answer"):
            conversation.as_rejected()
    else:
        other = conversation.as_rejected()
        assert (other.prompt, other.answer) == (conversation.prompt, sample.rejected)


@by_name
def test_a_broken_one_is_named_with_file_and_line(sample: FormSample, tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(sample.row) + "\n" + json.dumps(sample.broken) + "\n")
    with pytest.raises(DataError, match=sample.reason) as caught:
        list(read_conversations(path))
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert "\n" not in str(caught.value)


def test_every_form_of_the_table_has_a_sample() -> None:
    assert {sample.form for sample in SAMPLES} == {form.name for form in FORMS}


@pytest.mark.parametrize("kind", ["jsonl", "json", "jsonl.gz", "json.xz", "parquet", "folder"])
def test_all_samples_load_from_every_kind_of_file(kind: str, tmp_path) -> None:
    """In Parquet and in datasets a row has the columns of all rows, with nulls."""
    without = 0
    for number, sample in enumerate(SAMPLES):
        rows, path = [sample.row, sample.row], tmp_path / f"{number}.{kind}"
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        try:
            table = pa.Table.from_pylist(rows)
        except pa.ArrowInvalid:  # a column that holds texts and lists, which these kinds cannot
            table = None
        if kind in ("parquet", "folder") and table is None:
            without += 1
        elif kind == "parquet":
            parquet.write_table(table, path)
        elif kind == "folder":
            Dataset.from_list(rows).save_to_disk(str(path))
        else:
            content = (
                json.dumps(rows, indent=1).encode() if kind.startswith("json") and "l" not in kind else lines
            )
            packed = {"gz": gzip.compress, "xz": lzma.compress}.get(kind.rpartition(".")[2])
            path.write_bytes(packed(content) if packed else content)
        if not path.exists():
            continue
        for conversation in (record.conversation() for record in ConversationSource.of(path).records()):
            assert [turn["content"] for turn in conversation.messages] == list(sample.texts), sample.name
            assert conversation.reasoning == sample.reasoning
    assert without <= 2


def test_calls_of_tools_are_read_and_not_learnt() -> None:
    sample = next(sample for sample in SAMPLES if sample.name.startswith("calls"))
    assert [turn.get("weight", 1) for turn in parse_conversation(sample.row).messages] == [1, 0, 1, 1]


def test_the_same_columns_with_nulls_are_other_forms() -> None:
    """Rows of several forms in one Parquet file."""
    row = {"prompt": None, "messages": None, "question": "Q", "answer": "A", "chosen": None, "rejected": None}
    assert parse_conversation(row).form == "question-answer"


def test_what_is_not_read_is_said_with_its_number_of_rows(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{**SAMPLES[6].row, "source": "x"}, {**SAMPLES[6].row, "source": "y", "images": ["i"]}, {"x": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ConversationSource.of(path)
    said = source.describe()
    assert said.startswith(f"{path}: 3 rows (2 sharegpt); malformed: 1, the first: {path}, line 3: ")
    assert said.endswith("columns not read: source (2); left out: images (1)")
    assert source.notes() == ("columns not read: source (2)", "left out: images (1)")
    with pytest.raises(DataError, match="line 3"):
        ConversationSource.of(path, refuse=True)
    with pytest.warns(UserWarning, match="left out: images"):
        list(read_conversations(path, on_error="skip"))


def test_the_table_in_the_docs_is_that_of_the_forms() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    rows = [f"| {form.name} | {form.about} | {form.columns} |" for form in FORMS]
    assert "\n".join(["|---|---|---|", *rows]) in page
    for kind in FILE_KINDS:
        assert ", ".join(kind.suffixes) in page
