"""A dictionary without any training, to hold a trained one against."""

from dataclasses import replace

import torch

from mindscope.dictionaries import Dictionary


def randomise(dictionary: Dictionary, seed: int) -> Dictionary:
    """A dictionary as large and as sparse, at the same site, whose latents are random directions."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(dictionary.coder.W_dec.shape, generator=generator)
    rows = rows / rows.norm(dim=1, keepdim=True)
    coder = replace(
        dictionary.coder, W_enc=rows, b_enc=torch.zeros(len(rows)), W_dec=rows, threshold=None, W_skip=None
    )
    # The SAE's output bias stands for the mean activation: without it all latents would see little else.
    return replace(
        dictionary, coders=(coder,), activation="topk", k=dictionary.k or 1, apply_b_dec_to_input=True
    )
