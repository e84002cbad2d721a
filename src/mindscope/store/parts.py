"""Parts of a run: what each was made from, its folder and its seeds."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from mindscope.errors import StoreError
from mindscope.store.files import plain
from mindscope.store.run import Run


def derived_seed(seed: int, *place: str | int) -> int:
    """A seed of its own for each place in a plan; independent of Python's hash seed and of the order."""
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def part_of(run_part: str, trait: str) -> str:
    """The folder of one trait's piece of work in a run, such as ``extract/evil``."""
    slug = re.sub(r"[^\w-]+", "-", trait)
    return f"{run_part}/{slug}"


def digest(setup: Mapping[str, Any]) -> str:
    """A short name for exactly this setup."""
    return hashlib.blake2b(json.dumps(plain(dict(setup)), sort_keys=True).encode(), digest_size=6).hexdigest()


def claim(run: Run, name: str, setup: Mapping[str, Any]) -> None:
    """Marks the part ``name`` of a run as made from ``setup``; StoreError when it was made from another."""
    piece, wanted = f"{name}/setup.json", plain(dict(setup))
    if not run.has(piece):
        run.save_json(piece, wanted)
        return
    known = run.load_json(piece)
    for key in sorted(known.keys() | wanted.keys()):
        if known.get(key) != wanted.get(key):
            difference = _difference(known.get(key), wanted.get(key))
            raise StoreError(
                f"{run.path} holds '{name}' made with another {key} ({difference}): "
                "choose another run folder, or start again with what it was made with"
            )


def _difference(before: Any, now: Any) -> str:
    """The first value that differs, inside documents too."""
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key))
        return f"{key}: {_difference(before.get(key), now.get(key))}"
    there, here = (json.dumps(value, ensure_ascii=False)[:60] for value in (before, now))
    return f"{there} there, {here} now"
