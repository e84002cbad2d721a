"""Sparse dictionaries: SAE, transcoder, cross-layer transcoder, crosscoder: one type, and its training."""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.dictionaries.bank import DictionaryBank
    from mindscope.dictionaries.coder import Coder
    from mindscope.dictionaries.crosscoder import decoder_norms, relative_decoder_norms
    from mindscope.dictionaries.dictionary import Dictionary
    from mindscope.dictionaries.evaluation.ablation import perturb_probes, remove_correlation
    from mindscope.dictionaries.evaluation.absorption import measure_absorption
    from mindscope.dictionaries.evaluation.config import EvaluateConfig
    from mindscope.dictionaries.evaluation.evaluate import ClassifiedText, digest, evaluate
    from mindscope.dictionaries.evaluation.pooled import PooledActivations
    from mindscope.dictionaries.evaluation.probing import k_sparse
    from mindscope.dictionaries.evaluation.reconstruction import ReconstructionSums
    from mindscope.dictionaries.evaluation.report import evaluation_report
    from mindscope.dictionaries.evaluation.results import DictionaryEvaluation
    from mindscope.dictionaries.formats import FORMATS, detect, named, read_dictionary, write_dictionary
    from mindscope.dictionaries.formats.base import ReadOptions
    from mindscope.dictionaries.kinds import Activation
    from mindscope.dictionaries.sites import Latent, Wiring
    from mindscope.dictionaries.stack import stack_dictionaries, unstack_dictionaries
    from mindscope.dictionaries.storage import HEAD
    from mindscope.dictionaries.training.config import (
        PLACEMENT,
        DictionaryConfig,
        Method,
        MethodConfig,
        ScheduleConfig,
        TrainConfig,
    )
    from mindscope.dictionaries.training.corpus import TextCorpus, read_corpus
    from mindscope.dictionaries.training.learner import DictionaryTrainer
    from mindscope.dictionaries.training.ordinary import LeftOut, read_left_out
    from mindscope.dictionaries.training.processes import (
        TrainingMesh,
        TrainingWorld,
        torchrun_world,
    )
    from mindscope.dictionaries.training.sources import (
        INDEX,
        ActivationSource,
        ModelSource,
        ShardSource,
        write_shards,
    )
    from mindscope.dictionaries.training.train import train
    from mindscope.features import Site, SparseCode


__all__ = [
    "PLACEMENT",
    "Activation",
    "Coder",
    "DictionaryTrainer",
    "TextCorpus",
    "Dictionary",
    "DictionaryBank",
    "DictionaryConfig",
    "Latent",
    "LeftOut",
    "Method",
    "MethodConfig",
    "ScheduleConfig",
    "ModelSource",
    "ShardSource",
    "Site",
    "ActivationSource",
    "SparseCode",
    "TrainConfig",
    "Wiring",
    "read_corpus",
    "stack_dictionaries",
    "unstack_dictionaries",
    "train",
    "write_shards",
    "EvaluateConfig",
    "DictionaryEvaluation",
    "FORMATS",
    "HEAD",
    "INDEX",
    "ClassifiedText",
    "ReadOptions",
    "TrainingMesh",
    "TrainingWorld",
    "decoder_norms",
    "detect",
    "digest",
    "evaluate",
    "evaluation_report",
    "PooledActivations",
    "ReconstructionSums",
    "k_sparse",
    "measure_absorption",
    "perturb_probes",
    "remove_correlation",
    "torchrun_world",
    "named",
    "read_dictionary",
    "read_left_out",
    "relative_decoder_norms",
    "write_dictionary",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
