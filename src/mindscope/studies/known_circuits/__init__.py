"""Circuits that the literature knows, on any model: indirect objects, a fact, an opposite, induction."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.known_circuits.job import (
        KnownCircuitsReport,
        KnownCircuitsSpec,
        find_known_circuits,
    )
    from mindscope.studies.known_circuits.report import CLAIM_COLUMNS, GRAPH_COLUMNS, claim_table, graph_table
    from mindscope.studies.known_circuits.results import (
        HeadEffect,
        HeadRanking,
        KnownCircuits,
        NameSwap,
        TracedPrompt,
    )

__all__ = [
    "find_known_circuits",
    "KnownCircuitsSpec",
    "KnownCircuitsReport",
    "KnownCircuits",
    "TracedPrompt",
    "HeadRanking",
    "HeadEffect",
    "NameSwap",
    "claim_table",
    "graph_table",
    "CLAIM_COLUMNS",
    "GRAPH_COLUMNS",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
