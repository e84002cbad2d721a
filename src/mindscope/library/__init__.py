"""Cases: a finding with all that belongs to it in one file, and libraries of such files."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.library.archive import ENDING, OpenedCase, open_case, write_case
    from mindscope.library.manifest import (
        SELF_TEST,
        CaseKind,
        CaseManifest,
        CaseMember,
        Judgement,
        ReaderVerdict,
    )
    from mindscope.library.shelf import INDEX, LibraryEntry, LibraryIndex, LibraryShelf, write_index

__all__ = [
    "CaseKind",
    "CaseManifest",
    "CaseMember",
    "ReaderVerdict",
    "ENDING",
    "INDEX",
    "Judgement",
    "LibraryEntry",
    "LibraryIndex",
    "LibraryShelf",
    "OpenedCase",
    "SELF_TEST",
    "open_case",
    "write_case",
    "write_index",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
