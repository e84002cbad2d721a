"""What a model answered, as a file that every command reads."""

from mindscope.data import read_conversations
from mindscope.personas import write_answered


def test_answers_come_back_as_conversations_and_empty_ones_are_left_out(tmp_path):
    pairs = [("Why?", "So.\n\u201cYes\u201d"), ("And?", " \n"), ("How?", "Like this.")]
    path = write_answered(tmp_path / "new" / "own.jsonl", pairs)
    read = list(read_conversations(path))
    assert [(row.prompt[-1]["content"], row.answer) for row in read] == [pairs[0], pairs[2]]
