"""Rows with their number, their line, and the bytes that stand in the file."""

import json

import pytest

from mindscope.data import read_records
from mindscope.data.files.delimited import csv_header
from mindscope.errors import DataError


def test_blank_lines_have_no_number_and_bad_ones_have(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"prompt": "a", "response": "b"}\n\n{oops\r\n{"prompt": "c", "answer": "d"}'
    )
    records = list(read_records(path))
    assert [(each.number, each.line, each.place) for each in records] == [
        (1, 1, "line 1"), (2, 3, "line 3"), (3, 4, "line 4"),
    ]  # fmt: skip
    assert b"".join(each.raw for each in records) == path.read_bytes().replace(b"\n\n", b"\n")
    assert records[0].conversation().answer == "b"
    with pytest.raises(DataError, match="not JSON"):
        records[1].conversation()


def test_a_quoted_cell_may_hold_line_ends(tmp_path):
    path = tmp_path / "data.csv"
    rows = ['"a\nb",c\r\n', "\r\n", "d,e,f\n", '"g","h"']
    header = '"prompt","response"\r\n'
    path.write_bytes("".join([header, *rows]).encode())
    records = list(read_records(path))
    assert csv_header(path) == header.encode()
    assert [(each.number, each.line, each.raw.decode()) for each in records] == [
        (1, 3, rows[0]), (2, 5, rows[2]), (3, 6, rows[3]),
    ]  # fmt: skip
    assert records[0].conversation().prompt[0]["content"] == "a\nb"
    assert isinstance(records[1].row, DataError)


def test_the_bytes_of_a_file_of_lines_are_all_there(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"prompt": "ü" * i, "response": "x"}) + "\n" for i in range(5)))
    assert b"".join(each.raw for each in read_records(path)) == path.read_bytes()
