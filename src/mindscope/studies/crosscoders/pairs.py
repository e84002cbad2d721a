"""Crosscoders between the organism and itself after a short tuning.

The base is tuned on conversations of one family in its strongest form. Both models read the same rows, every
second one a conversation such as those (others than were tuned on), the rest the organism's own corpus.
Beside each pair stands the base twice: there is nothing that one model has and the other lacks.
"""

from functools import partial

import torch

from mindscope.finetuning import FinetuneConfig, finetune_model
from mindscope.models import Model, Row, load
from mindscope.organism import corpus_rows, training_set
from mindscope.store import Run
from mindscope.studies.common import PieceProgress, TokenPool, keep_coder, read_pool, train_coder
from mindscope.studies.crosscoders.config import (
    L1,
    L1_SHARED,
    L1_TWICE,
    TOP,
    TOP_TWICE,
    CrosscodersConfig,
)
from mindscope.studies.crosscoders.exclusive import score_pair
from mindscope.studies.crosscoders.results import PairSeed

MODELS: tuple[str, ...] = ("base", "tuned")
LEVEL = "II"
"""The strongest form of a training set."""


def measure_pair(
    model: Model, run: Run, config: CrosscodersConfig, seed: int, progress: PieceProgress
) -> PairSeed:
    """Tune, read and train; progress is told of these steps."""
    settings = FinetuneConfig(
        learning_rate=config.tune_rate,
        steps=config.tune_steps,
        batch_rows=config.tune_rows,
        accumulation=1,
        dtype="float32",
        seed=seed,
        keep=1,
    )
    rows = training_set(config.family, LEVEL, config.tune_steps * config.tune_rows, seed)
    tuning = finetune_model("organism", rows, run, settings, name=f"tunes/{seed}", device="cpu")
    tuned = load(tuning.path, dtype="float32")
    progress(1, 7)
    pool = read_pair(model, tuned, config, seed)
    progress(2, 7)
    twice = use_twice(pool)
    designated = {"shared_latents": config.shared_latents}
    plans = {
        L1: (pool, "relu", {}),
        L1_SHARED: (pool, "relu", designated),
        TOP: (pool, "batchtopk", {}),
        L1_TWICE: (twice, "relu", {}),
        TOP_TWICE: (twice, "batchtopk", {}),
    }
    scores = []
    for done, (name, (own, method, others)) in enumerate(plans.items()):
        coder = keep_coder(
            run,
            f"pairs-{seed}-{done}",
            partial(train_coder, own, config, seed, latents=config.pair_latents, method=method, **others),
        )
        first = round(config.shared_latents * config.pair_latents) if others else 0
        scores.append(score_pair(name, coder, own, first))
        progress(3 + done, 7)
    base, other = pool.held.chunk(2, dim=1)
    moved = (other - base).square().sum() / (base - base.mean(0)).square().sum()
    return PairSeed(
        tuned=tuned.fingerprint,
        moved=round(float(moved), 6),
        loss=(round(tuning.losses[0], 4), round(tuning.losses[-1], 4)),
        pairs=tuple(scores),
    )


def read_pair(base: Model, tuned: Model, config: CrosscodersConfig, seed: int) -> TokenPool:
    """What both models have after one block, side by side."""
    talks = training_set(config.family, LEVEL, max(8, config.tokens // 32), 10_000 + seed)

    def row(number: int) -> Row:
        if number % 2 == 0:
            return next(corpus_rows(base, number, 2000 + seed))
        talk = talks[number // 2 % len(talks)]
        return base.chat(list(talk.prompt), talk.answer)

    names = tuple(f"{name}:resid_post.{config.layer}" for name in MODELS)
    return read_pool(dict(zip(MODELS, (base, tuned), strict=True)), names, row, config)


def use_twice(pool: TokenPool) -> TokenPool:
    """The base in the place of the tuned model too."""
    train, held = (torch.cat([part.chunk(2, dim=1)[0]] * 2, dim=1) for part in (pool.train, pool.held))
    models = dict.fromkeys(MODELS, pool.models[MODELS[0]])
    return TokenPool(train, held, pool.sites, pool.names, models, pool.ids)
