"""Memory that was freed is handed back: glibc's allocator keeps it, and a server's load makes that grow.

Answers come and go in all sizes, and what lies between two pieces that are in use stays with the process
although nobody uses it. `malloc_trim` hands such pages back to the system, wherever they lie in the heaps. It
takes some milliseconds, and pages that are needed again cost a page fault each, so it is done now and then.
"""

import ctypes
import time
from collections.abc import Callable

TRIM_SECONDS = 5.0
"""Between two trims while there is work: some milliseconds of each five seconds."""

IDLE_SECONDS = 0.5
"""The same where the work has come to an end."""


class HeapTrimmer:
    """Trims the heaps from time to time, where the C library can; elsewhere it does nothing."""

    def __init__(self) -> None:
        self._trim = _find_trim()
        self._last = time.monotonic()

    def trim(self, *, idle: bool = False) -> None:
        """Trim, if it is time for it. With `idle` there is no more work for now."""
        if self._trim is None:
            return
        now = time.monotonic()
        if now - self._last >= (IDLE_SECONDS if idle else TRIM_SECONDS):
            self._trim(0)  # without Python's lock, so that other threads go on
            self._last = time.monotonic()


def _find_trim() -> Callable[[int], int] | None:
    """The `malloc_trim` of glibc; None with other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
