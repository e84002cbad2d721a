"""The jobs of attribution graphs: trace, look, change, check, compare, export."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.jobs.circuit.attention import HeadsReport, ShowHeadsSpec, show_heads
    from mindscope.jobs.circuit.changing import InterveneSpec, intervene
    from mindscope.jobs.circuit.checking import ValidateGraphSpec, validate
    from mindscope.jobs.circuit.exporting import ExportGraphSpec, export
    from mindscope.jobs.circuit.inputs import (
        OpenedGraph,
        ReplacementSpec,
        find_replacement,
        find_row,
        find_streams,
        find_targets,
        open_graph,
        replacement_of,
    )
    from mindscope.jobs.circuit.page import write_page
    from mindscope.jobs.circuit.reading import (
        CompareGraphsSpec,
        PruneGraphSpec,
        ShowGraphSpec,
        compare,
        prune,
        show,
    )
    from mindscope.jobs.circuit.recorded import (
        FeatureChange,
        InterventionRecord,
        InterventionRequest,
        measure_intervention,
    )
    from mindscope.jobs.circuit.results import (
        ExportReport,
        GraphComparisonReport,
        GraphListing,
        GraphSummary,
        InterventionReport,
        PruneReport,
        SupernodeRow,
        TraceReport,
    )
    from mindscope.jobs.circuit.tracing import TraceSpec, trace

__all__ = [
    "trace",
    "TraceSpec",
    "TraceReport",
    "SupernodeRow",
    "show",
    "ShowGraphSpec",
    "GraphListing",
    "GraphSummary",
    "prune",
    "PruneGraphSpec",
    "PruneReport",
    "compare",
    "CompareGraphsSpec",
    "GraphComparisonReport",
    "intervene",
    "InterveneSpec",
    "InterventionReport",
    "FeatureChange",
    "InterventionRecord",
    "InterventionRequest",
    "measure_intervention",
    "validate",
    "ValidateGraphSpec",
    "show_heads",
    "ShowHeadsSpec",
    "HeadsReport",
    "export",
    "ExportGraphSpec",
    "ExportReport",
    "OpenedGraph",
    "ReplacementSpec",
    "open_graph",
    "find_replacement",
    "find_streams",
    "replacement_of",
    "find_row",
    "find_targets",
    "write_page",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
