"""What a crosscoder between two models says of them: which of its latents one model has and the other lacks.

Source: Lindsey et al. 2024, "Sparse Crosscoders for Cross-Layer Features and Model Diffing".
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.dictionaries.dictionary import Dictionary
from mindscope.errors import DataError


def decoder_norms(dictionary: Dictionary) -> dict[str, Float[Tensor, "latents"]]:
    """For each model the sum of the norms of each latent's decoder rows over the model's sites."""
    norms = {
        name: torch.zeros(dictionary.n_latents) for name in dict.fromkeys(s.model for s in dictionary.writes)
    }
    for index, (coder, wiring) in enumerate(zip(dictionary.coders, dictionary.wiring, strict=True)):
        latents = dictionary.latents(index)
        sites = [dictionary.writes[number] for number in wiring.writes]
        rows = coder.W_dec.detach().float().cpu().split([site.width for site in sites], dim=1)
        for site, part in zip(sites, rows, strict=True):
            norms[site.model][latents.start : latents.stop] += part.norm(dim=1)
    return norms


def relative_decoder_norms(dictionary: Dictionary, model: str) -> Float[Tensor, "latents"]:
    """How far each latent belongs to one of two models: ‖d_model‖ / (‖d_model‖ + ‖d_other‖).

    1: only this model has it; 1/2: both have it alike; 0: only the other has it. A latent that writes
    nothing at all has 1/2.

    Args:
        dictionary: a crosscoder between two models.
        model: the name of one of them, see `Dictionary.models`.

    Raises:
        DataError: the dictionary does not write in exactly two models, or has no model of this name.
    """
    norms = decoder_norms(dictionary)
    if len(norms) != 2 or model not in norms:
        raise DataError(
            f"relative norms compare two models, and {model} as one of them; this dictionary writes in "
            f"{', '.join(norms)}"
        )
    own, total = norms[model], sum(norms.values())
    assert isinstance(total, Tensor)
    return torch.where(total > 0, own / total, 0.5)
