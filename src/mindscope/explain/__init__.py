"""What a feature means: when it is active, what it says, what is like it, and what to call it.

Works alike for the latents of a dictionary, for persona vectors and for linear classifiers.
"""

from mindscope.explain.classification import FEATURES, Comparison, compare_classifiers
from mindscope.explain.concepts import ConceptTable, Labelled, concept_table
from mindscope.explain.config import SurveyConfig
from mindscope.explain.export import feature_json
from mindscope.explain.labelling import score_label, written_label
from mindscope.explain.labels import Label, Score, evidence, keyless_label
from mindscope.explain.logits import LogitEffects, feature_logits, writes_residual
from mindscope.explain.map import FeatureMap, feature_map
from mindscope.explain.neighbours import Counterpart, Neighbour, across_layers, neighbours, read_direction
from mindscope.explain.page import feature_report
from mindscope.explain.pooling import pooled_activations, pooled_features
from mindscope.explain.results import Activity, Context, Survey, TokenUse
from mindscope.explain.search import Firing, Hit, TextIndex, fires_on, search_token
from mindscope.explain.source import DictionaryFeatures, Features, LatentFeature, SingleFeatures
from mindscope.explain.steer import as_persona, best_latent
from mindscope.explain.survey import survey

__all__ = [
    "Features",
    "DictionaryFeatures",
    "SingleFeatures",
    "LatentFeature",
    "survey",
    "SurveyConfig",
    "Survey",
    "Activity",
    "Context",
    "TokenUse",
    "feature_logits",
    "LogitEffects",
    "neighbours",
    "Neighbour",
    "across_layers",
    "Counterpart",
    "read_direction",
    "best_latent",
    "as_persona",
    "Label",
    "Score",
    "evidence",
    "keyless_label",
    "written_label",
    "score_label",
    "TextIndex",
    "Hit",
    "search_token",
    "fires_on",
    "Firing",
    "FeatureMap",
    "feature_map",
    "feature_report",
    "feature_json",
    "pooled_features",
    "pooled_activations",
    "concept_table",
    "ConceptTable",
    "Labelled",
    "compare_classifiers",
    "Comparison",
    "FEATURES",
    "writes_residual",
]
