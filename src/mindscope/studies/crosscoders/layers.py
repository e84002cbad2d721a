"""All coders of layers of one seed, on the same tokens."""

from functools import partial

import torch

from mindscope.dictionaries import Dictionary
from mindscope.explain import ConceptTable
from mindscope.models import Model
from mindscope.organism import corpus_rows
from mindscope.store import Run
from mindscope.studies.common import (
    PieceProgress,
    TokenPool,
    keep_coder,
    layer_norms,
    randomise,
    read_pool,
    score_coders,
    train_coder,
)
from mindscope.studies.crosscoders.config import (
    ACAUSAL,
    CAUSAL,
    RANDOM_ACAUSAL,
    RANDOM_SINGLE,
    SHUFFLED,
    SINGLE,
    TOP_ACAUSAL,
    TOP_SINGLE,
    WIDE,
    CrosscodersConfig,
)
from mindscope.studies.crosscoders.depth import measure_depth
from mindscope.studies.crosscoders.recovery import ConceptHalves, score_concepts
from mindscope.studies.crosscoders.results import ConceptLife, LayerCoder, LayerSeed

LIVES = 12
"""Concepts whose latents are followed through depth."""


def measure_layers(
    model: Model, run: Run, config: CrosscodersConfig, seed: int, progress: PieceProgress
) -> LayerSeed:
    """Train and measure them; progress is told of coders."""
    names = tuple(f"resid_post.{layer}" for layer in range(model.n_layers))
    pool = read_pool(
        {"0": model}, names, lambda number: next(corpus_rows(model, number, 1000 + seed)), config
    )
    layers = [pool.columns([number]) for number in range(len(names))]
    shuffled = pool.shuffled(seed)
    each = config.latents // len(names)
    plans = {
        ACAUSAL: ([pool], config.latents, "relu", {}),
        CAUSAL: ([pool], each, "relu", {"causal": True}),
        SINGLE: (layers, each, "relu", {}),
        WIDE: (layers, config.latents, "relu", {}),
        SHUFFLED: ([shuffled], config.latents, "relu", {}),
        TOP_ACAUSAL: ([pool], config.latents, "batchtopk", {}),
        TOP_SINGLE: (layers, each, "batchtopk", {}),
    }
    coders: dict[str, list[Dictionary]] = {}
    for done, (name, (pools, latents, method, settings)) in enumerate(plans.items()):
        coders[name] = [
            keep_coder(
                run,
                f"layers-{seed}-{done}-{number}",
                partial(
                    train_coder,
                    own,
                    config,
                    seed * 100 + number,
                    latents=latents,
                    method=method,
                    **settings,
                ),
            )
            for number, own in enumerate(pools)
        ]
        progress(done + 1, len(plans) + 2)
    coders[RANDOM_ACAUSAL] = [randomise(own, seed) for own in coders[TOP_ACAUSAL]]
    coders[RANDOM_SINGLE] = [randomise(own, seed + n) for n, own in enumerate(coders[TOP_SINGLE])]
    texts = ConceptHalves.draw(model, config.texts, seed)
    tokens = texts.measure_tokens(model)
    tables = texts.measure_coders(model, coders, pool.sites)
    measured = [
        LayerCoder(
            name=name,
            scores=score_coders(own, plans[name][0], config.sparsity) if name in plans else None,
            depth=measure_depth(own[0], plans[name][0][0]) if name in plans and len(own) == 1 else None,
            concepts=score_concepts(tables[name], tokens),
        )
        for name, own in coders.items()
    ]
    return LayerSeed(
        coders=tuple(measured),
        concepts=len(texts.concepts),
        tokens=round(sum(single.f1 for single in tokens.best.values()) / len(tokens.best), 5),
        lives=follow_concepts(coders[TOP_ACAUSAL][0], pool, tables[TOP_ACAUSAL], tokens),
    )


@torch.no_grad()
def follow_concepts(
    coder: Dictionary, pool: TokenPool, table: ConceptTable, tokens: ConceptTable
) -> tuple[ConceptLife, ...]:
    """The latents that stand best for concepts, where they beat the best token, and their norms by layer."""
    norms = layer_norms(coder, pool)
    ranked = sorted(
        (single.f1, name) for name, single in table.best.items() if single.f1 > tokens.best[name].f1
    )
    lives = []
    for f1, name in reversed(ranked[-LIVES:]):
        latent = table.best[name].feature
        own = norms[latent] / norms[latent].max().clamp(min=1e-30)
        lives.append(
            ConceptLife(
                concept=name,
                latent=latent,
                f1=round(f1, 5),
                token=round(tokens.best[name].f1, 5),
                norms=tuple(round(norm, 5) for norm in own.tolist()),
            )
        )
    return tuple(lives)
