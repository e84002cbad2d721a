"""The case book: what Lindsey et al. 2025 saw in circuits, looked for in the organism, with numbers."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.llm_biology.book import FAMILIES, settings_of, write_book
    from mindscope.studies.llm_biology.config import FAMILY_NAMES, QUICK, BookConfig, order_families
    from mindscope.studies.llm_biology.documents import CaseResult, CaseVerdict, DrawnGraph
    from mindscope.studies.llm_biology.job import CaseBookReport, CaseBookSpec, work_through
    from mindscope.studies.llm_biology.report import (
        COLUMNS,
        GRAPH_COLUMNS,
        book_report,
        book_rows,
        graph_rows,
    )

__all__ = [
    "COLUMNS",
    "FAMILIES",
    "FAMILY_NAMES",
    "CaseBookReport",
    "CaseBookSpec",
    "work_through",
    "GRAPH_COLUMNS",
    "QUICK",
    "BookConfig",
    "CaseResult",
    "DrawnGraph",
    "CaseVerdict",
    "book_report",
    "book_rows",
    "order_families",
    "graph_rows",
    "settings_of",
    "write_book",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
