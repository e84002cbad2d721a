"""What studies of papers share: pieces that are measured once, claims with their verdicts, and their page.

A study is four steps, each a file of its folder:

1. Settings: a configuration, with the paper's own values where it has any.
2. Measure: pieces, each a document and a file of the run (`store.measure_once`); a stopped study goes on.
3. Claims: what was to be shown, set before measuring, against the pieces (`Claim`).
4. Report: the page, with the claims at its head (`begin_page`, `add_claims`, `end_page`).

Its job (`job.py`) puts them together for the command line and for other programs.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.studies.common.bench import PieceBench, PieceProgress
    from mindscope.studies.common.claims import Claim, claim_rows
    from mindscope.studies.common.coder_scores import (
        CoderScores,
        active_latents,
        layer_norms,
        layer_rows,
        score_coders,
    )
    from mindscope.studies.common.concept_bench import (
        ConceptBench,
        ConceptHalf,
        ConceptTexts,
        best_f1s,
        pool_texts,
        score_concepts,
    )
    from mindscope.studies.common.firing_rules import (
        EXPLAINED,
        STRONGEST,
        FiringRules,
        RuleScores,
        StrongFirings,
        detect_firings,
        explain_firings,
        find_rules,
        match_rules,
        say_rule,
        score_firings,
    )
    from mindscope.studies.common.page import add_claims, add_settings, begin_page, end_page
    from mindscope.studies.common.random_dictionary import randomise
    from mindscope.studies.common.reference_text import read_paragraphs
    from mindscope.studies.common.rounding import as_row, as_rows, round_known
    from mindscope.studies.common.seeds import SeedEstimate
    from mindscope.studies.common.small_models.tiny_config import TinyConfig
    from mindscope.studies.common.small_models.tiny_training import TinyTraining, train_transformers
    from mindscope.studies.common.small_models.tiny_transformers import (
        NeuronEdit,
        NeuronReading,
        TinyTransformers,
        norm_neurons,
        read_neurons,
    )
    from mindscope.studies.common.small_models.toy_models import (
        Sampler,
        ToyModels,
        draw_uniform,
        feature_dimensionality,
        patterned_uniform,
        sparse_uniform,
        train_models,
    )
    from mindscope.studies.common.small_models.toy_training import ToyTraining
    from mindscope.studies.common.study import CLAIM_COLUMNS, StudyReport, StudySpec, claim_table
    from mindscope.studies.common.study_text import (
        StudyText,
        TokenText,
        cut_text,
        draw_repeats,
        name_tokens,
        split_held,
    )
    from mindscope.studies.common.token_pool import (
        PoolTraining,
        TokenPool,
        draw_shares,
        keep_coder,
        read_pool,
        train_coder,
    )

__all__ = [
    "Claim",
    "claim_rows",
    "PieceBench",
    "PieceProgress",
    "begin_page",
    "add_claims",
    "add_settings",
    "end_page",
    "randomise",
    "SeedEstimate",
    "as_row",
    "as_rows",
    "round_known",
    "StudySpec",
    "StudyReport",
    "CLAIM_COLUMNS",
    "claim_table",
    "ToyTraining",
    "ToyModels",
    "Sampler",
    "train_models",
    "sparse_uniform",
    "patterned_uniform",
    "draw_uniform",
    "feature_dimensionality",
    "TinyConfig",
    "TinyTransformers",
    "NeuronEdit",
    "norm_neurons",
    "NeuronReading",
    "read_neurons",
    "TinyTraining",
    "train_transformers",
    "ConceptBench",
    "ConceptHalf",
    "ConceptTexts",
    "pool_texts",
    "score_concepts",
    "best_f1s",
    "EXPLAINED",
    "STRONGEST",
    "StrongFirings",
    "FiringRules",
    "RuleScores",
    "find_rules",
    "explain_firings",
    "match_rules",
    "detect_firings",
    "score_firings",
    "say_rule",
    "TokenText",
    "StudyText",
    "cut_text",
    "split_held",
    "name_tokens",
    "draw_repeats",
    "read_paragraphs",
    "PoolTraining",
    "TokenPool",
    "draw_shares",
    "keep_coder",
    "read_pool",
    "train_coder",
    "CoderScores",
    "active_latents",
    "layer_norms",
    "layer_rows",
    "score_coders",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
