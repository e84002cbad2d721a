"""Foreign JSON is a value that can be written again, or an error that says why it is not taken."""

import json

import pytest

from mindscope.core import DEEPEST_JSON, parse_exact_json, parse_json, require_single_keys


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "nonsense", nested(DEEPEST_JSON + 1)])
@pytest.mark.parametrize("parse", [parse_json, parse_exact_json])
def test_text_that_is_no_json_or_too_deep(text, parse):
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize("value", [3, "[[[", [], {}, [{"a": [1, None, True, "x", -0.5, 10**40]}]])
@pytest.mark.parametrize("parse", [parse_json, parse_exact_json])
def test_what_is_good_is_read_as_the_library_reads_it(value, parse):
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value).encode()) == value


def test_the_deepest_that_is_taken():
    assert json.dumps(parse_json(nested(DEEPEST_JSON))) == nested(DEEPEST_JSON)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json('{"a":' * DEEPEST_JSON + "[1]" + "}" * DEEPEST_JSON)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("place", ["%s", "[%s]", '{"a": [0, {"b": %s}]}'])
def test_a_number_that_is_none_is_refused_where_it_is_asked(number, place):
    parse_json(place % number)
    with pytest.raises(ValueError, match="NaN or infinity"):
        parse_exact_json(place % number)


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "\\u0061": 2}}]'])
def test_a_key_twice_is_refused_where_it_is_asked(text):
    parse_json(text)
    with pytest.raises(ValueError, match="the key 'a' is given twice"):
        parse_exact_json(text)
    with pytest.raises(ValueError, match="the key 'a' is given twice"):
        json.loads(text, object_pairs_hook=require_single_keys)
