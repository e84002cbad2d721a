"""A model, a dictionary with planted latents, and a corpus in which it is known when each is active."""

import torch
from tiny_models import FAMILIES, build

from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.models import Model, Raw, Read, Row

PLANTED = {0: 5, 1: 9, 2: 17}
"""Latent to the only token that sets it off."""
ADDRESS = "embeddings"


def model() -> Model:
    return build(FAMILIES[0])


def planted(model: Model) -> Dictionary:
    """Latent i is active on token PLANTED[i] alone, with activation 1 + i; latent 3 nowhere.

    Its encoder is the row of the embedding's pseudo-inverse that picks the token out, so that this is so by
    linear algebra, whatever else a token's embedding holds.
    """
    row = Row(tuple(range(30)), 0)
    (vectors,) = model.read([row], {"x": Read(ADDRESS, Raw("all"))})["x"].values
    picks = torch.linalg.pinv(vectors.double()).float()  # vectors @ picks is the identity: 30 tokens, 32 wide
    W_enc = torch.zeros(4, model.d_model)
    for latent, token in PLANTED.items():
        W_enc[latent] = picks[:, token] * (2 + latent)
    W_enc[3] = picks[:, 40 % 30]
    b_enc = torch.tensor([-1.0, -1.0, -1.0, -10.0])
    W_dec = torch.randn(4, model.d_model, generator=torch.Generator().manual_seed(0))
    site = [Site(ADDRESS, model.d_model)]
    return Dictionary.single(
        Coder(W_enc, b_enc, W_dec),
        torch.zeros(model.d_model),
        reads=site,
        writes=site,
        activation="relu",
        models={"0": model.fingerprint},
    )


def corpus(rows: int = 60, seed: int = 1) -> list[Row]:
    """Random tokens 0 to 29, rows of unlike lengths, some empty."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 40, (rows,), generator=draw).tolist()
    return [Row(tuple(torch.randint(0, 30, (n,), generator=draw).tolist()), n // 2) for n in lengths]
