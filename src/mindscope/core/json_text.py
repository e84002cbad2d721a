"""JSON out of foreign text."""

import json
import math
from typing import Any

DEEPEST_JSON = 100
"""Levels of lists and objects within one another. No document of ours has twenty; what is nested 255 deep can
be read and then not written again (pydantic's bound), and 1,000 deep not even read."""


def split_json_lines(text: str) -> list[str]:
    """The lines of a text in which each is a JSON value; what follows the last line break is left out.

    A line ends with a line feed alone: JSON may hold other signs that `str.splitlines` takes for an end.
    """
    return text.split("\n")[:-1]


def parse_json(text: str | bytes, *, single_keys: bool = False, finite: bool = False) -> Any:
    """What a JSON text says, by default as other programs write it.

    Args:
        text: all of it.
        single_keys: refuse an object that gives a key twice, of which the last would be taken in silence.
        finite: refuse NaN, infinity, and numbers that are larger than floats go.

    Raises:
        ValueError: it is no JSON, nested deeper than `DEEPEST_JSON` levels, or what is refused.
    """
    try:
        value = json.loads(text, object_pairs_hook=require_single_keys if single_keys else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Level by level, not by calls: how deep it goes is what is asked.
    level = [value]
    for _ in range(DEEPEST_JSON):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following += item.values()
            elif isinstance(item, list):
                following += item
            elif finite and isinstance(item, float) and not math.isfinite(item):
                raise ValueError("it holds NaN or infinity, which JSON does not know")
        if not following:
            return value
        level = following
    raise ValueError("it is nested too deeply")


def parse_exact_json(text: str | bytes) -> Any:
    """What a JSON text says that can be read in one way only, which is all that mindscope writes.

    Raises:
        ValueError: it is no JSON, nested too deeply, gives a key twice, or holds a number that is none.
    """
    return parse_json(text, single_keys=True, finite=True)


def require_single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object out of its keys and values, for `object_pairs_hook`.

    Raises:
        ValueError: a key is given twice.
    """
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key {key[:80]!r} is given twice")
        seen.add(key)
    raise AssertionError("fewer keys than pairs, and none of them twice")
