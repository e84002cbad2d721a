"""Short names for exactly these weights."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mindscope.dictionaries.dictionary import Dictionary


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A short name for tensors as they lie in a file, in their own types."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def digest_dictionary(dictionary: "Dictionary") -> str:
    """A short name for a dictionary: its weights as float32, its sites, and the models it was trained on.

    Every weight is read. `Dictionary.digest` remembers it.
    """
    digest = hashlib.blake2b(digest_size=16)
    sites = [[(site.name, site.width) for site in side] for side in (dictionary.reads, dictionary.writes)]
    wiring = [(wiring.reads, wiring.writes, wiring.n_latents) for wiring in dictionary.wiring]
    settings = (dictionary.activation, dictionary.k, dictionary.apply_b_dec_to_input, dictionary.trained_on)
    digest.update(repr((sites, wiring, settings)).encode())
    if dictionary.normalisation is not None:
        digest.update(dictionary.normalisation.encode())
    digest.update(dictionary.b_dec.detach().cpu().float().contiguous().numpy().tobytes())
    for coder in dictionary.coders:
        for name, tensor in sorted(coder.tensors().items()):
            digest.update(name.encode() + tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
