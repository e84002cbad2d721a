"""Where what can be made or fetched again is kept for a user, beside all runs."""

import os
from pathlib import Path

CACHE_VARIABLE = "MINDSCOPE_CACHE"


def cache_folder() -> Path:
    """`$MINDSCOPE_CACHE`, or `mindscope` in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "mindscope"
