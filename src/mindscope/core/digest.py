"""Short names for exactly these values: what is equal has the same digest, in every process."""

import hashlib
import json
from typing import Any

SIZE = 16
"""Bytes of a digest: 2^64 values before two are likely to share one."""


def digest_json(value: Any, size: int = SIZE) -> str:
    """The digest of a JSON value, in hex; the order of keys does not matter."""
    return digest_text(json.dumps(value, sort_keys=True), size)


def digest_text(text: str, size: int = SIZE) -> str:
    """The digest of a text, in hex."""
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=size).hexdigest()
