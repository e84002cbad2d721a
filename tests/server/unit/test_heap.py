"""What was freed between two pieces that are in use is handed back to the system."""

import platform

import psutil
import pytest

from mindscope.server.engine.heap import HeapTrimmer


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no malloc_trim")
def test_freed_memory_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmer = HeapTrimmer()
    pieces = [bytes(100_000) for _ in range(2000)]  # below the size that glibc maps by itself
    del pieces[1:-1]
    before = psutil.Process().memory_info().rss
    trimmer.trim()
    assert psutil.Process().memory_info().rss > before - 50e6  # it is not time for it yet
    monkeypatch.setattr(trimmer, "_last", float("-inf"))
    trimmer.trim()
    assert psutil.Process().memory_info().rss < before - 100e6
    assert len(pieces) == 2
