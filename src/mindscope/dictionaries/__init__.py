"""Sparse dictionaries: SAE, transcoder, cross-layer transcoder, crosscoder: one type, and its training."""

from mindscope.dictionaries.code import SparseCode
from mindscope.dictionaries.coder import Activation, Coder
from mindscope.dictionaries.config import DictionaryConfig, Method, TrainConfig
from mindscope.dictionaries.corpus import Corpus, corpus
from mindscope.dictionaries.dictionary import Dictionary
from mindscope.dictionaries.sites import Latent, Site, Wiring
from mindscope.dictionaries.sources import ModelSource, ShardSource, Source, write_shards
from mindscope.dictionaries.stack import stacked
from mindscope.dictionaries.training import train

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
]
