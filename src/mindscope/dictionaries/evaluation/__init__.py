"""How good a dictionary is: sparsity, reconstruction, what it costs the model, what its latents tell."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.dictionaries.evaluation.ablation import (
        CorrelationRemoval,
        ProbePerturbation,
        perturb_probes,
        remove_correlation,
    )
    from mindscope.dictionaries.evaluation.absorption import FeatureAbsorption, measure_absorption
    from mindscope.dictionaries.evaluation.config import EvaluateConfig
    from mindscope.dictionaries.evaluation.evaluate import ClassifiedText, digest, evaluate
    from mindscope.dictionaries.evaluation.pooled import PooledActivations, pool
    from mindscope.dictionaries.evaluation.probing import ProbingScores, k_sparse
    from mindscope.dictionaries.evaluation.reconstruction import Reconstruction, ReconstructionSums
    from mindscope.dictionaries.evaluation.recovered import LossRecovered, loss_sums
    from mindscope.dictionaries.evaluation.report import evaluation_report
    from mindscope.dictionaries.evaluation.results import DictionaryEvaluation, LabelledMeasures
    from mindscope.dictionaries.evaluation.rows import read_sites
    from mindscope.dictionaries.evaluation.sparsity import Sparsity, active_counts
    from mindscope.dictionaries.evaluation.splice import ablated, spliced

__all__ = [
    "FeatureAbsorption",
    "EvaluateConfig",
    "DictionaryEvaluation",
    "LabelledMeasures",
    "ClassifiedText",
    "ProbePerturbation",
    "PooledActivations",
    "ProbingScores",
    "Reconstruction",
    "ReconstructionSums",
    "LossRecovered",
    "CorrelationRemoval",
    "Sparsity",
    "ablated",
    "measure_absorption",
    "active_counts",
    "digest",
    "evaluate",
    "evaluation_report",
    "k_sparse",
    "loss_sums",
    "perturb_probes",
    "pool",
    "read_sites",
    "remove_correlation",
    "spliced",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
