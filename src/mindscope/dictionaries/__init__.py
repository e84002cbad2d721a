"""Sparse dictionaries: SAE, transcoder, cross-layer transcoder, crosscoder: one type, and its training."""

from mindscope.dictionaries.coder import Activation, Coder
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.evaluation.evaluate import EvaluateConfig, LabelledText, digest, evaluate
from mindscope.dictionaries.evaluation.report import evaluation_report
from mindscope.dictionaries.evaluation.results import Evaluation
from mindscope.dictionaries.formats import FORMATS, detect, named, read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import Options
from mindscope.dictionaries.sites import Latent, Site, Wiring
from mindscope.dictionaries.sparse_code import SparseCode
from mindscope.dictionaries.stack import stacked
from mindscope.dictionaries.storage import HEAD
from mindscope.dictionaries.training.config import DictionaryConfig, Method, TrainConfig
from mindscope.dictionaries.training.corpus import Corpus, corpus
from mindscope.dictionaries.training.processes import Processes, launched, own_device
from mindscope.dictionaries.training.sources import INDEX, ModelSource, ShardSource, Source, write_shards
from mindscope.dictionaries.training.train import train

__all__ = [
    "Activation",
    "Coder",
    "Corpus",
    "Dictionary",
    "DictionaryConfig",
    "Latent",
    "Method",
    "ModelSource",
    "ShardSource",
    "Site",
    "Source",
    "SparseCode",
    "TrainConfig",
    "Wiring",
    "corpus",
    "stacked",
    "train",
    "write_shards",
    "EvaluateConfig",
    "Evaluation",
    "FORMATS",
    "HEAD",
    "INDEX",
    "LabelledText",
    "Options",
    "Processes",
    "detect",
    "digest",
    "evaluate",
    "evaluation_report",
    "launched",
    "named",
    "own_device",
    "read_dictionary",
    "write_dictionary",
]
