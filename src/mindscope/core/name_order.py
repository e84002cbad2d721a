"""The order in which names are listed: numbers in them by value, so that `layer.9` is before `layer.15`."""

import re
from pathlib import PurePath

_DIGITS = re.compile(r"([0-9]+)")


def order_names(name: str | PurePath) -> tuple[object, ...]:
    """The key by which to sort names, or paths part by part: `sorted(names, key=order_names)`.

    Two names that differ in leading zeros alone are sorted as text.
    """
    parts = name.parts if isinstance(name, PurePath) else (name,)
    return tuple(_order_part(part) for part in parts), str(name)


def _order_part(part: str) -> tuple[object, ...]:
    # Text and digits take turns, so that a number is never compared with a text. Digits are not made numbers:
    # a name may have more of them than Python turns into one.
    pieces = _DIGITS.split(part)
    return tuple(
        (len(digits := piece.lstrip("0")), digits) if index % 2 else piece
        for index, piece in enumerate(pieces)
    )
