"""Ways to spoil what a reader is fed: a place of a JSON document, or some bytes."""

from __future__ import annotations

import copy
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, 1e-320),
    *("", "a", "../x", "/etc/passwd", "\x00", "\x1b[31m", "\ud800", "NaN", "-1", "0", "é" * 300, "a" * 5000),
    *([], {}, [[]], [None], {"": None}, [0] * 50, {"kind": "tokens"}),
)
"""Values that a field is not meant to have."""


def spoil_value(document: Any, draw: random.Random) -> Any:
    """A JSON value with one place changed, taken out, doubled, or put in the place of another."""
    if not isinstance(document, dict | list):
        return draw.choice(STRANGE)
    document = copy.deepcopy(document)
    places: list[tuple[Any, Any]] = []
    stack = [document]
    while stack:
        value = stack.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                stack.append(value[key])
    if not places:
        return draw.choice(STRANGE)
    holder, key = draw.choice(places)
    match draw.randrange(5):
        case 0 | 1:
            holder[key] = copy.deepcopy(draw.choice(STRANGE))
        case 2:
            del holder[key]
        case 3:
            other, place = draw.choice(places)
            holder[key] = copy.deepcopy(other[place])
        case _ if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case _:
            holder[draw.choice(("", "unknown", str(key) + "x"))] = holder[key]
    return document


def spoil_bytes(content: bytes, draw: random.Random) -> bytes:
    """Bytes with some flipped, left out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        place = draw.randrange(len(changed) + 1)
        match draw.randrange(5):
            case 0 if place < len(changed):
                changed[place] ^= 1 << draw.randrange(8)
            case 1:
                del changed[place : place + draw.randrange(1, 9)]
            case 2:
                changed[place:place] = draw.randbytes(draw.randrange(1, 9))
            case 3:
                changed[place:place] = changed[place : place + 16]
            case _:
                del changed[place:]
    return bytes(changed)
