"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


def with_label(progress: Progress | None, label: str) -> Callable[[int, int], None] | None:
    """For work that only counts: called with (done, total), it says what is being done."""
    return None if progress is None else lambda done, total: progress(done, total, label)
