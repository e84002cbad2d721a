"""Sparse dictionaries: SAE, transcoder, cross-layer transcoder, crosscoder: one type, and its training."""

from mindscope.dictionaries.code import SparseCode
from mindscope.dictionaries.coder import Activation, Coder
from mindscope.dictionaries.dictionary import Dictionary, Latent, Site, Wiring

__all__ = ["Activation", "Coder", "Dictionary", "Latent", "SparseCode", "Site", "Wiring"]
