"""Circuits: attribution graphs of what a model computes on one prompt, and interventions that check them."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.circuits.attribution import targets
    from mindscope.circuits.attribution.config import ROWS_IN_MEMORY, TraceConfig
    from mindscope.circuits.attribution.forecast import TraceForecast
    from mindscope.circuits.attribution.logit_effects import compute_feature_effects, describe_logits
    from mindscope.circuits.attribution.retrace import trace_again
    from mindscope.circuits.attribution.targets import TargetSpec
    from mindscope.circuits.attribution.trace import trace
    from mindscope.circuits.files.read_json import PublicGraph, read_graph_json
    from mindscope.circuits.files.write_json import (
        GraphView,
        build_graph_json,
        prune_for_page,
        write_graph_json,
    )
    from mindscope.circuits.graph.compare import (
        GraphComparison,
        SharedEdge,
        SharedNode,
        compare_graphs,
        relate_graphs,
    )
    from mindscope.circuits.graph.difference import GraphDifference, measure_difference
    from mindscope.circuits.graph.findings import (
        AttentionFindings,
        EdgeHeads,
        GraphValidation,
        HeadLoading,
        Mode,
        PredictionAgreement,
        QKPair,
        QKScore,
    )
    from mindscope.circuits.graph.graph import AttributionGraph
    from mindscope.circuits.graph.grouping import find_supernodes
    from mindscope.circuits.graph.influence import GraphScores, compute_influence, score_graph
    from mindscope.circuits.graph.nodes import AttributionTarget, GraphNode
    from mindscope.circuits.graph.paths import GraphPath, StrongestPaths, find_paths
    from mindscope.circuits.graph.prune import PrunedGraph, accumulate_influence, prune_graph
    from mindscope.circuits.graph.supernodes import GroupedGraph, Supernode, build_supernode_graph
    from mindscope.circuits.heads.loadings import HeadLoadings, compute_head_loadings, with_attention
    from mindscope.circuits.heads.qk import AttentionScore, compute_qk_attribution
    from mindscope.circuits.heads.qk_attribution import QKAttribution
    from mindscope.circuits.interventions.groups import (
        ActiveFeature,
        align_ends,
        clamp_activations,
        find_active,
        scale_activations,
        swap_features,
    )
    from mindscope.circuits.interventions.intervening import MODES, intervening
    from mindscope.circuits.interventions.intervention import Intervention
    from mindscope.circuits.interventions.outcomes import (
        InterventionOutcome,
        intervene,
        intervene_batch,
        read_feature_activations,
    )
    from mindscope.circuits.page.content import build_page_content
    from mindscope.circuits.page.page import build_graph_page, hash_page_script, read_page_content
    from mindscope.circuits.replacement.dictionary import DictionaryReplacement, match_layers
    from mindscope.circuits.replacement.feature_io import FeatureIO, FeatureSource, concat_reads
    from mindscope.circuits.replacement.local_model import LocalReplacementModel, ReplacementModel
    from mindscope.circuits.replacement.neurons import NeuronReplacement
    from mindscope.circuits.replacement.partial import PartialReplacement
    from mindscope.circuits.replacement.stream_features import StreamFeatures
    from mindscope.circuits.validation.config import ValidationConfig
    from mindscope.circuits.validation.predict import predict_changes
    from mindscope.circuits.validation.validate import validate_graph, with_validation


__all__ = [
    "TraceForecast",
    "ROWS_IN_MEMORY",
    "trace",
    "trace_again",
    "GraphDifference",
    "measure_difference",
    "TraceConfig",
    "ReplacementModel",
    "DictionaryReplacement",
    "NeuronReplacement",
    "PartialReplacement",
    "FeatureSource",
    "StreamFeatures",
    "LocalReplacementModel",
    "AttributionGraph",
    "GraphNode",
    "AttributionTarget",
    "compute_head_loadings",
    "HeadLoadings",
    "compute_qk_attribution",
    "QKAttribution",
    "QKPair",
    "with_attention",
    "compute_influence",
    "score_graph",
    "GraphScores",
    "prune_for_page",
    "prune_graph",
    "accumulate_influence",
    "PrunedGraph",
    "Supernode",
    "build_supernode_graph",
    "GroupedGraph",
    "find_supernodes",
    "compute_feature_effects",
    "describe_logits",
    "find_paths",
    "GraphPath",
    "StrongestPaths",
    "compare_graphs",
    "relate_graphs",
    "GraphComparison",
    "SharedNode",
    "SharedEdge",
    "build_graph_json",
    "write_graph_json",
    "read_graph_json",
    "PublicGraph",
    "GraphView",
    "Intervention",
    "Mode",
    "intervening",
    "intervene",
    "intervene_batch",
    "InterventionOutcome",
    "read_feature_activations",
    "ActiveFeature",
    "find_active",
    "scale_activations",
    "clamp_activations",
    "swap_features",
    "align_ends",
    "predict_changes",
    "validate_graph",
    "with_validation",
    "GraphValidation",
    "PredictionAgreement",
    "FeatureIO",
    "MODES",
    "TargetSpec",
    "targets",
    "ValidationConfig",
    "AttentionScore",
    "QKScore",
    "AttentionFindings",
    "EdgeHeads",
    "HeadLoading",
    "match_layers",
    "build_graph_page",
    "build_page_content",
    "hash_page_script",
    "read_page_content",
    "concat_reads",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
