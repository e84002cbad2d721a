"""Parts of a run: what each was made from, its folder and its seeds."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mindscope.core import digest_json, digest_text
from mindscope.errors import StoreError
from mindscope.store.files import plain
from mindscope.store.run import Run


def derived_seed(seed: int, *place: str | int) -> int:
    """A seed of its own for each place in a plan; independent of Python's hash seed and of the order."""
    return int(digest_text(repr((seed, *place)), size=8), 16) >> 1


def part_of(run_part: str, trait: str) -> str:
    """The folder of one trait's piece of work in a run, such as ``extract/evil``."""
    slug = re.sub(r"[^\w-]+", "-", trait)
    return f"{run_part}/{slug}"


def digest(setup: Mapping[str, Any]) -> str:
    """A short name for exactly this setup."""
    return digest_json(plain(dict(setup)), size=6)


def claim(
    run: Run,
    name: str,
    setup: Mapping[str, Any],
    *,
    read: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> None:
    """Mark the part ``name`` of a run as made from ``setup``; StoreError when it was made from another.

    ``read`` turns the setup that an older version wrote into today's, so that its run is gone on with.
    """
    piece, asked = f"{name}/setup.json", plain(dict(setup))
    if not run.has(piece):
        run.save_json(piece, asked)
        return
    known = run.load_json(piece) if read is None else read(run.load_json(piece))
    for key in sorted(known.keys() | asked.keys()):
        if known.get(key) != asked.get(key):
            difference = _difference(known.get(key), asked.get(key))
            raise StoreError(
                f"{run.path} holds '{name}' made with another {key} ({difference}): "
                "choose another run folder, or start again with what it was made with"
            )


def _difference(before: Any, after: Any) -> str:
    """The first value that differs, inside documents too."""
    if isinstance(before, dict) and isinstance(after, dict):
        key = next(key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key))
        return f"{key}: {_difference(before.get(key), after.get(key))}"
    there, here = (json.dumps(value, ensure_ascii=False)[:60] for value in (before, after))
    return f"{there} there, {here} now"
