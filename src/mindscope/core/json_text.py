"""JSON out of foreign text."""

import json
from typing import Any


def split_json_lines(text: str) -> list[str]:
    """The lines of a text in which each is a JSON value; what follows the last line break is left out.

    A line ends with a line feed alone: JSON may hold other signs that `str.splitlines` takes for an end.
    """
    return text.split("\n")[:-1]


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, or nested more deeply than the parser goes, for which the library's own
            function has an error of another kind.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
