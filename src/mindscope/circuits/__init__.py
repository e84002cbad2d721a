"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from mindscope.circuits.exchange import View, graph_json, write_graph_json
from mindscope.circuits.exchange_read import PublicGraph, read_graph_json
from mindscope.circuits.graph import AttributionGraph, Node, Target
from mindscope.circuits.influence import Scores, influence, scores
from mindscope.circuits.prune import Pruned, prune
from mindscope.circuits.supernodes import GroupedGraph, Supernode, grouped

__all__ = [
    "AttributionGraph",
    "Node",
    "Target",
    "influence",
    "scores",
    "Scores",
    "prune",
    "Pruned",
    "Supernode",
    "grouped",
    "GroupedGraph",
    "graph_json",
    "write_graph_json",
    "read_graph_json",
    "PublicGraph",
    "View",
]
