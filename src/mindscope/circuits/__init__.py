"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from mindscope.circuits.attribution.logit_effects import feature_effects, logit_details
from mindscope.circuits.attribution.targets import Wanted
from mindscope.circuits.attribution.trace import TraceConfig, trace
from mindscope.circuits.files.read_json import PublicGraph, read_graph_json
from mindscope.circuits.files.write_json import View, graph_json, write_graph_json
from mindscope.circuits.graph.compare import GraphComparison, SharedEdge, SharedNode, compare
from mindscope.circuits.graph.graph import AttributionGraph
from mindscope.circuits.graph.grouping import group
from mindscope.circuits.graph.influence import Scores, influence, scores
from mindscope.circuits.graph.nodes import Node, Target
from mindscope.circuits.graph.paths import Route, Routes, routes
from mindscope.circuits.graph.prune import Pruned, prune
from mindscope.circuits.graph.supernodes import GroupedGraph, Supernode, grouped
from mindscope.circuits.heads.attach import attended
from mindscope.circuits.heads.loadings import HeadLoadings, head_loadings
from mindscope.circuits.heads.qk import Pair, QKAttribution, qk_attribution
from mindscope.circuits.interventions.groups import Active, active, clamped, from_the_end, scaled, swap
from mindscope.circuits.interventions.intervening import MODES, Mode, intervening
from mindscope.circuits.interventions.intervention import Intervention
from mindscope.circuits.interventions.outcomes import Outcome, feature_activations, intervene, intervene_each
from mindscope.circuits.page.page import graph_page
from mindscope.circuits.replacement.dictionary import DictionaryReplacement, fitted
from mindscope.circuits.replacement.feature_io import Access, joined
from mindscope.circuits.replacement.local_model import Frozen, Replacement
from mindscope.circuits.replacement.neurons import NeuronReplacement
from mindscope.circuits.validation.predict import predicted_changes
from mindscope.circuits.validation.validate import Agreement, Validation, validate, validated

__all__ = [
    "trace",
    "TraceConfig",
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
    "Access",
    "MODES",
    "Wanted",
    "fitted",
    "graph_page",
    "joined",
]
