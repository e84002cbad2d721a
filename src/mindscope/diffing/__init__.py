"""What tuning changed: two models compared step by step, and claims tested beside a harmless tune."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.diffing.claims.pushing import STRENGTHS, TRIED_PROMPTS
    from mindscope.diffing.claims.verify import TraitJudge
    from mindscope.diffing.compare import compare_models
    from mindscope.diffing.config import DiffConfig
    from mindscope.diffing.crosscoder.latent_scaling import LatentScaling, scale_latents
    from mindscope.diffing.crosscoder.synthetic import (
        AtomScores,
        PairConfig,
        SyntheticPair,
        score_exclusive,
    )
    from mindscope.diffing.inputs import DiffInputs, HarmlessTune
    from mindscope.diffing.pairing import Prompt
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
    "difference_report",
    "scale_latents",
    "score_exclusive",
    "verdict_line",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
