"""Whatever a file of examples holds, reading it gives a set or a DataError."""

import json

from form_kit import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from mindscope.errors import DataError
from mindscope.personas import read_examples

labels = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=4) | st.lists(st.integers(), max_size=1)
)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(SAMPLES), labels), max_size=5),
    st.sampled_from([None, "true", "x"]),
    st.sampled_from(["refuse", "skip"]),
    st.booleans(),
)
def test_any_rows_with_any_labels(tmp_path_factory, rows, positive, on_error, two):
    path = tmp_path_factory.mktemp("noise") / "x.jsonl"
    path.write_text("".join(json.dumps({**sample.row, "label": label}) + "\n" for sample, label in rows))
    try:
        found = read_examples([path] * (1 + two), positive=positive, on_error=on_error)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017  (reading may also succeed)
    else:
        assert not found.paired or len(found.positive) == len(found.negative)
        assert all(example.answer.strip() for example in found.examples)
