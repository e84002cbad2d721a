"""What a feature means: when it is active, what it says, what is like it, and what to call it.

Works alike for the latents of a dictionary, for persona vectors and for linear classifiers.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.explain.classification import FEATURES, ProbeComparison, compare_probes
    from mindscope.explain.concepts import (
        ConceptSummary,
        ConceptTable,
        LabelledText,
        concept_table,
        list_pools,
        table_of_pools,
    )
    from mindscope.explain.export import feature_json
    from mindscope.explain.labelling import score_label, written_label
    from mindscope.explain.labels import FeatureLabel, LabelScore, gather_evidence, keyless_label
    from mindscope.explain.logits import LogitEffects, feature_logits
    from mindscope.explain.map import FeatureMap, feature_map
    from mindscope.explain.neighbours import (
        FeatureNeighbour,
        LayerCounterpart,
        across_layers,
        find_neighbours,
        read_direction,
    )
    from mindscope.explain.page import feature_report
    from mindscope.explain.pooling import (
        Pool,
        PooledFeatures,
        pooled_activations,
        pooled_channels,
        pooled_features,
        pooled_features_of,
        pooled_tokens,
    )
    from mindscope.explain.search import FeatureFiring, SearchHit, TextIndex, fires_on, search_token
    from mindscope.explain.steer import as_persona, best_latent
    from mindscope.explain.survey.accumulate import SurveyAccumulator
    from mindscope.explain.survey.config import SurveyConfig
    from mindscope.explain.survey.results import ActivationContext, FeatureActivity, Survey, TokenUse
    from mindscope.explain.survey.survey import survey_features


__all__ = [
    "survey_features",
    "SurveyAccumulator",
    "SurveyConfig",
    "Survey",
    "FeatureActivity",
    "ActivationContext",
    "TokenUse",
    "feature_logits",
    "LogitEffects",
    "find_neighbours",
    "FeatureNeighbour",
    "across_layers",
    "LayerCounterpart",
    "read_direction",
    "best_latent",
    "as_persona",
    "FeatureLabel",
    "LabelScore",
    "gather_evidence",
    "keyless_label",
    "written_label",
    "score_label",
    "TextIndex",
    "SearchHit",
    "search_token",
    "fires_on",
    "FeatureFiring",
    "FeatureMap",
    "feature_map",
    "feature_report",
    "feature_json",
    "PooledFeatures",
    "Pool",
    "pooled_channels",
    "pooled_features",
    "pooled_features_of",
    "pooled_tokens",
    "pooled_activations",
    "concept_table",
    "list_pools",
    "table_of_pools",
    "ConceptSummary",
    "ConceptTable",
    "LabelledText",
    "compare_probes",
    "ProbeComparison",
    "FEATURES",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
