"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from mindscope.circuits import targets
from mindscope.circuits.attention import attended
from mindscope.circuits.attention_loadings import HeadLoadings, head_loadings
from mindscope.circuits.attention_scores import Pair, QKAttribution, qk_attribution
from mindscope.circuits.attribution import TraceConfig, trace
from mindscope.circuits.compare import GraphComparison, SharedEdge, SharedNode, compare
from mindscope.circuits.dictionary_replacement import DictionaryReplacement
from mindscope.circuits.effects import feature_effects, logit_details
from mindscope.circuits.exchange import View, graph_json, write_graph_json
from mindscope.circuits.exchange_read import PublicGraph, read_graph_json
from mindscope.circuits.graph import AttributionGraph
from mindscope.circuits.grouping import group
from mindscope.circuits.influence import Scores, influence, scores
from mindscope.circuits.interventions import Intervention
from mindscope.circuits.neuron_replacement import NeuronReplacement
from mindscope.circuits.nodes import Node, Target
from mindscope.circuits.outcomes import Outcome, feature_activations, intervene, intervene_each
from mindscope.circuits.patching import Mode, intervening
from mindscope.circuits.paths import Route, Routes, routes
from mindscope.circuits.prediction import predicted_changes
from mindscope.circuits.prune import Pruned, prune
from mindscope.circuits.replacement import Frozen, Replacement
from mindscope.circuits.supernodes import GroupedGraph, Supernode, grouped
from mindscope.circuits.swap import Active, active, clamped, from_the_end, scaled, swap
from mindscope.circuits.validation import Agreement, Validation, validate, validated

__all__ = [
    "trace",
    "TraceConfig",
    "targets",
    "Replacement",
    "DictionaryReplacement",
    "NeuronReplacement",
    "Frozen",
    "AttributionGraph",
    "Node",
    "Target",
    "head_loadings",
    "HeadLoadings",
    "qk_attribution",
    "QKAttribution",
    "Pair",
    "attended",
    "influence",
    "scores",
    "Scores",
    "prune",
    "Pruned",
    "Supernode",
    "grouped",
    "GroupedGraph",
    "group",
    "feature_effects",
    "logit_details",
    "routes",
    "Route",
    "Routes",
    "compare",
    "GraphComparison",
    "SharedNode",
    "SharedEdge",
    "graph_json",
    "write_graph_json",
    "read_graph_json",
    "PublicGraph",
    "View",
    "Intervention",
    "Mode",
    "intervening",
    "intervene",
    "intervene_each",
    "Outcome",
    "feature_activations",
    "Active",
    "active",
    "scaled",
    "clamped",
    "swap",
    "from_the_end",
    "predicted_changes",
    "validate",
    "validated",
    "Validation",
    "Agreement",
]
