"""Whatever a file holds, its readers give conversations or a DataError: nothing else, and in bounded time."""

import json

import pytest
from form_kit import PACKERS, SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from mindscope.data import ConversationSource, parse_conversation
from mindscope.data.columns import rename_columns
from mindscope.errors import DataError

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.sampled_from(
    [
        "role",
        "content",
        "from",
        "value",
        "text",
        "parts",
        "type",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "thinking",
        "reasoning",
        "weight",
        "loss",
        "refusal",
        "input",
        "output",
        "messages",
        "image_url",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)
COLUMNS = st.sampled_from(sorted({name for sample in SAMPLES for name in sample.row} | {"systemInstruction"}))
words = st.sampled_from(["user", "assistant", "system", "tool", "function_call", "gpt", "human", "text"])


def paths(value, at=()):
    """Every place inside a value."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*at, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*at, index))


def with_value(value, at, new):
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = with_value(value[at[0]], at[1:], new)
    return copy


def read(row):
    try:
        conversation = parse_conversation(row)
    except DataError as error:
        assert "\n" not in str(error).replace("\\n", "")  # noqa: PT017  (reading may also succeed)
        return
    assert conversation.messages
    for turn in conversation.messages:
        assert turn["role"] in ("system", "user", "assistant")
        assert isinstance(turn["content"], str)
    json.dumps(conversation.messages)


@settings(max_examples=300)
@given(st.dictionaries(COLUMNS, values | words, max_size=5))
def test_rows_of_known_columns(row):
    read(row)


@settings(max_examples=300)
@given(st.sampled_from(SAMPLES), st.data())
def test_samples_with_one_value_changed(sample, data):
    places = list(paths(sample.row))
    place = data.draw(st.sampled_from(places))
    read(with_value(sample.row, place, data.draw(values | words)))


@settings(max_examples=150)
@given(st.sampled_from([".jsonl", ".json", ".csv", ".tsv"]), st.sampled_from(sorted(PACKERS)), st.data())
def test_files_of_noise(tmp_path_factory, suffix, compression, data):
    text = data.draw(
        st.binary(max_size=120) | st.text(alphabet='[]{},:"\\ \n\t0x', max_size=60).map(str.encode)
    )
    packed = PACKERS[compression](text)
    cut = data.draw(st.integers(0, 10)) if compression else 0
    path = tmp_path_factory.mktemp("noise") / f"x{suffix}{compression}"
    path.write_bytes(packed[: len(packed) - cut])
    try:
        ConversationSource.of(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017  (reading may also succeed)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_parquet_of_noise(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("noise") / "x.parquet"
    path.write_bytes(b"PAR1" + content + b"PAR1")
    with pytest.raises(DataError, match=r"not a whole Parquet file|is needed"):
        list(ConversationSource.of(path).records())


@settings(max_examples=150)
@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3), st.data())
def test_columns_by_any_name(samples, data):
    """Renaming gives rows, whatever the names lead to."""
    columns = data.draw(st.dictionaries(st.sampled_from(["messages", "answer", "role", "content"]), COLUMNS))
    for sample in samples:
        read(rename_columns(sample.row, columns))
