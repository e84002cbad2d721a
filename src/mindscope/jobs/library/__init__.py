"""The jobs of the case library: pack, show, open, annotate, compare, reproduce, index, list, fetch."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.library.annotating import AnnotateCaseSpec, annotate_case
    from mindscope.jobs.library.comparing import CaseComparison, CompareCasesSpec, compare_cases
    from mindscope.jobs.library.dictionary_test import DictionaryTest
    from mindscope.jobs.library.opening import OpenCaseSpec, ShowCaseSpec, show_case, unpack_case
    from mindscope.jobs.library.packing import PackCaseSpec, pack_case
    from mindscope.jobs.library.reproducing import ReproduceCaseSpec, reproduce_case
    from mindscope.jobs.library.results import CaseReproduction, CaseSummary, PackReport, UnpackReport
    from mindscope.jobs.library.shelves import (
        FetchCaseSpec,
        FetchReport,
        IndexLibrarySpec,
        LibraryListing,
        ListLibrarySpec,
        fetch_case,
        index_library,
        list_library,
    )

__all__ = [
    "AnnotateCaseSpec",
    "CaseComparison",
    "CaseReproduction",
    "CaseSummary",
    "CompareCasesSpec",
    "DictionaryTest",
    "FetchCaseSpec",
    "FetchReport",
    "IndexLibrarySpec",
    "LibraryListing",
    "ListLibrarySpec",
    "OpenCaseSpec",
    "PackCaseSpec",
    "PackReport",
    "ReproduceCaseSpec",
    "ShowCaseSpec",
    "UnpackReport",
    "annotate_case",
    "compare_cases",
    "fetch_case",
    "index_library",
    "list_library",
    "pack_case",
    "reproduce_case",
    "show_case",
    "unpack_case",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
