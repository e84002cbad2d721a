"""Short names for exactly these values: what is equal has the same digest, in every process."""

import base64
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


def hash_source(text: str) -> str:
    """The source expression of a page's policy that lets a browser use exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
