"""The one door for data: columns and splits of the main data, other data beside it, what is said."""

import json

import job_kit
import pytest
from datasets import Dataset, DatasetDict

from mindscope.errors import DataError
from mindscope.jobs.specs import DataSpec


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_columns_and_split_are_of_the_main_data_and_of_others_that_have_them(tmp_path):
    spec = DataSpec(columns=("question=ask", "answer=reply"), split="train")
    rows = [{"ask": "q", "reply": "a", "more": 1}]
    DatasetDict({"train": Dataset.from_list(rows), "test": Dataset.from_list(rows)}).save_to_disk(
        str(tmp_path / "main")
    )
    reporter = job_kit.RecordingReporter()
    main = spec.open_data(tmp_path / "main", reporter, refuse=True)
    assert [record.conversation().answer for record in main.records()] == ["a"]
    plain = write(tmp_path / "plain.jsonl", [{"question": "q", "answer": "b"}])
    alike = write(tmp_path / "alike.jsonl", rows)
    for other, answer in ((plain, "b"), (alike, "a")):
        source = spec.open_data(other, reporter, refuse=True, main=False)
        assert [record.conversation().answer for record in source.records()] == [answer]
    assert reporter.lines == [
        f"{tmp_path / 'main'}: 1 row (1 question-answer); columns not read: more (1)",
        f"{plain}: 1 row (1 question-answer)",
        f"{alike}: 1 row (1 question-answer); columns not read: more (1)",
    ]
    with pytest.raises(DataError, match=r"has no column ask \(--columns question=ask\)"):
        DataSpec(columns=spec.columns).open_data(plain, reporter, refuse=True)
    with pytest.raises(DataError, match="has no splits: leave --split out"):
        spec.open_data(plain, reporter, refuse=True)


def test_malformed_rows_are_refused_or_counted(tmp_path):
    path = write(tmp_path / "x.jsonl", [{"question": "q", "answer": "a"}, {"question": 3, "answer": "a"}])
    reporter = job_kit.RecordingReporter()
    with pytest.raises(DataError, match=r"x\.jsonl, line 2: question must be text, this is a int"):
        DataSpec().open_data(path, reporter, refuse=True)
    assert reporter.lines == []
    assert DataSpec().open_data(path, reporter, refuse=False).survey.malformed == 1
    assert "malformed: 1, the first: " in reporter.lines[0]


def test_columns_that_another_command_reads_are_not_said_to_be_unread(tmp_path):
    rows = [{"prompt": "q", "chosen": "a", "rejected": "b", "label": True}]
    reporter = job_kit.RecordingReporter()
    path = write(tmp_path / "x.jsonl", rows)
    DataSpec().open_data(path, reporter, refuse=True)
    DataSpec().open_data(path, reporter, refuse=True, read=("label", "rejected"))
    assert reporter.lines == [
        f"{path}: 1 row (1 preference); left out: rejected answers (1); columns not read: label (1)",
        f"{path}: 1 row (1 preference)",
    ]
