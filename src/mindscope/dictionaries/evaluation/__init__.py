"""How good a dictionary is: sparsity, reconstruction, what it costs the model, what its latents tell."""

from mindscope.dictionaries.evaluation.ablation import Perturbation, Removal, perturb, remove
from mindscope.dictionaries.evaluation.absorption import Absorption, absorption
from mindscope.dictionaries.evaluation.evaluate import EvaluateConfig, LabelledText, digest, evaluate
from mindscope.dictionaries.evaluation.pooled import Pooled, pool
from mindscope.dictionaries.evaluation.probing import Probing, k_sparse
from mindscope.dictionaries.evaluation.reconstruction import Reconstruction, ReconstructionSums
from mindscope.dictionaries.evaluation.recovered import Recovered, loss_sums
from mindscope.dictionaries.evaluation.report import evaluation_report
from mindscope.dictionaries.evaluation.results import Evaluation, Labelled
from mindscope.dictionaries.evaluation.rows import Tokens, read_sites
from mindscope.dictionaries.evaluation.sparsity import Sparsity, active_counts
from mindscope.dictionaries.evaluation.splice import ablated, spliced

__all__ = [
    "Absorption",
    "EvaluateConfig",
    "Evaluation",
    "Labelled",
    "LabelledText",
    "Perturbation",
    "Pooled",
    "Probing",
    "Reconstruction",
    "ReconstructionSums",
    "Recovered",
    "Removal",
    "Sparsity",
    "Tokens",
    "ablated",
    "absorption",
    "active_counts",
    "digest",
    "evaluate",
    "evaluation_report",
    "k_sparse",
    "loss_sums",
    "perturb",
    "pool",
    "read_sites",
    "remove",
    "spliced",
]
