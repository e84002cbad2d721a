"""What a feature is: read at one place and written at another, alone or many together."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.features.baking.bake import bake_checkpoint, require_replaceable
    from mindscope.features.baking.results import BakedCheckpoint, BakedComparison
    from mindscope.features.bank import (
        BankFeature,
        FeatureBank,
        encode_rows,
        feature_edits,
        read_activations,
        read_activations_of,
        require_models,
        written_directions,
    )
    from mindscope.features.controls import N_RANDOM, random_directions
    from mindscope.features.direction import Direction
    from mindscope.features.feature import Feature
    from mindscope.features.feature_set import FeatureSet
    from mindscope.features.host_waits import count_each, find_places, is_apart, read_numbers
    from mindscope.features.measured_tokens import MeasuredTokens
    from mindscope.features.outliers import OUTLIER_FACTOR, OutlierLimits, measure_norms
    from mindscope.features.site import (
        FIRST,
        Engines,
        Models,
        Site,
        join_fingerprints,
        match_models,
        name_models,
        require_same_tokenizer,
        split_site_name,
    )
    from mindscope.features.sparse_code import SparseCode
    from mindscope.features.steer_edits import DirectionFinder, compile_steering, term_edits
    from mindscope.features.steer_expression import SteerExpression, SteerLayers, SteerOperation, SteerTerm
    from mindscope.features.steering_files.check import check_steering_file
    from mindscope.features.steering_files.exports import export_gguf, export_pt, read_gguf_file
    from mindscope.features.steering_files.probes import PROBE_QUESTIONS
    from mindscope.features.steering_files.results import FileCheck, SteeringFileReport
    from mindscope.features.steering_files.steering_file import SteeringFile, make_steering_file


__all__ = [
    "BakedCheckpoint",
    "BakedComparison",
    "N_RANDOM",
    "random_directions",
    "BankFeature",
    "Direction",
    "DirectionFinder",
    "FIRST",
    "Feature",
    "FeatureBank",
    "FeatureSet",
    "MeasuredTokens",
    "Engines",
    "Models",
    "OUTLIER_FACTOR",
    "OutlierLimits",
    "PROBE_QUESTIONS",
    "Site",
    "SparseCode",
    "SteerExpression",
    "SteerLayers",
    "SteerOperation",
    "SteerTerm",
    "SteeringFile",
    "SteeringFileReport",
    "FileCheck",
    "bake_checkpoint",
    "check_steering_file",
    "compile_steering",
    "count_each",
    "encode_rows",
    "export_gguf",
    "export_pt",
    "feature_edits",
    "find_places",
    "is_apart",
    "read_numbers",
    "join_fingerprints",
    "make_steering_file",
    "match_models",
    "measure_norms",
    "name_models",
    "read_activations",
    "read_activations_of",
    "read_gguf_file",
    "require_models",
    "require_replaceable",
    "require_same_tokenizer",
    "split_site_name",
    "term_edits",
    "written_directions",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
