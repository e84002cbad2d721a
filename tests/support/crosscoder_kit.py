"""Pools and crosscoders that are made by hand, for tests of the study of crosscoders."""

import torch

from mindscope.dictionaries import Dictionary
from mindscope.dictionaries.coder import Coder
from mindscope.features import Site
from mindscope.studies.common import TokenPool

WIDTH = 8


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pool_of(train: torch.Tensor, held: torch.Tensor, models: tuple[str, ...] = ("0", "0")) -> TokenPool:
    sites = tuple(Site(f"resid_post.{n}", WIDTH, model) for n, model in enumerate(models))
    ids = torch.arange(len(held)) % 16
    return TokenPool(train, held, sites, tuple(site.name for site in sites), dict.fromkeys(models, "f"), ids)


def crosscoder(W_enc: torch.Tensor, W_dec: torch.Tensor, pool: TokenPool, b_enc=None) -> Dictionary:
    bias = torch.zeros(len(W_enc)) if b_enc is None else b_enc
    return Dictionary.single(
        Coder(W_enc, bias, W_dec),
        torch.zeros(W_dec.shape[1]),
        reads=pool.sites,
        writes=pool.sites,
        activation="relu",
        models=pool.models,
    )
