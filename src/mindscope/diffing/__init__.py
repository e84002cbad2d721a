"""What tuning changed: two models compared step by step, and claims tested beside a harmless tune."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.diffing.claims.pushing import STRENGTHS, TRIED_PROMPTS
    from mindscope.diffing.claims.verify import TraitJudge
    from mindscope.diffing.compare import compare_models, compared_layer
    from mindscope.diffing.config import DiffConfig
    from mindscope.diffing.crosscoder.latent_scaling import LatentScaling, scale_latents
    from mindscope.diffing.crosscoder.synthetic import (
        AtomScores,
        PairConfig,
        SyntheticPair,
        score_exclusive,
    )
    from mindscope.diffing.inputs import DiffInputs, HarmlessTune
    from mindscope.diffing.observing import split_prompts
    from mindscope.diffing.pairing import Prompt, require_null
    from mindscope.diffing.report import claim_rows, difference_report, verdict_line
    from mindscope.diffing.results import ModelDifference, NullReading, VerifiedClaim


__all__ = [
    "AtomScores",
    "DiffConfig",
    "DiffInputs",
    "HarmlessTune",
    "LatentScaling",
    "ModelDifference",
    "NullReading",
    "PairConfig",
    "Prompt",
    "STRENGTHS",
    "SyntheticPair",
    "TRIED_PROMPTS",
    "TraitJudge",
    "VerifiedClaim",
    "claim_rows",
    "compare_models",
    "compared_layer",
    "difference_report",
    "require_null",
    "scale_latents",
    "score_exclusive",
    "split_prompts",
    "verdict_line",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
