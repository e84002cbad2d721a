"""What the shipped dictionaries are trained by."""

from collections.abc import Sequence
from typing import Literal, get_args

from mindscope.dictionaries import DictionaryConfig, TrainConfig

Part = Literal["sae", "transcoder", "clt"]
PARTS: tuple[Part, ...] = get_args(Part)

N_LAYERS = 4
DEAD_TOKENS = 400_000
"""The paper's ten million are more than the whole training here."""


def order_parts(parts: Sequence[Part]) -> list[Part]:
    """In the order of `PARTS`, each once."""
    return [part for part in PARTS if part in parts]


def recipe(part: Part, steps: int | None = None) -> TrainConfig:
    """SAEs of every layer's residual stream, transcoders of every MLP, or one CLT: BatchTopK all of them.

    The SAEs are the widest: with 2,048 latents and a third of the steps a layer had single latents for about
    30 concepts of the world, with 4,096 for 68. Learning rates are higher than the paper's scaling law says,
    since the training is short.

    Args:
        part: what to train.
        steps: fewer make first, weaker dictionaries.
    """
    layers = range(N_LAYERS)
    mlp_in, mlp_out = ([f"{name}.{layer}" for layer in layers] for name in ("mlp_in", "mlp_out"))
    if part == "sae":
        dictionaries = [
            DictionaryConfig(
                name=f"sae.{layer}",
                reads=(f"resid_post.{layer}",),
                n_latents=4096,
                k=20,
                learning_rate=6e-4,
                dead_tokens=DEAD_TOKENS,
            )
            for layer in layers
        ]
    elif part == "transcoder":
        dictionaries = [
            DictionaryConfig(
                name=f"transcoder.{layer}",
                kind="transcoder",
                reads=(mlp_in[layer],),
                writes=(mlp_out[layer],),
                n_latents=2048,
                k=24,
                learning_rate=8e-4,
                dead_tokens=DEAD_TOKENS,
            )
            for layer in layers
        ]
    else:
        dictionaries = [
            DictionaryConfig(
                name="clt",
                kind="clt",
                reads=tuple(mlp_in),
                writes=tuple(mlp_out),
                n_latents=2048,
                k=32,
                learning_rate=8e-4,
                dead_tokens=DEAD_TOKENS,
            )
        ]
    return TrainConfig(
        dictionaries=tuple(dictionaries),
        steps=steps or {"sae": 3000, "transcoder": 3000, "clt": 4000}[part],
        batch_tokens=2048,
        buffer_batches=64,
    )
