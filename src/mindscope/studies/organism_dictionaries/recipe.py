"""What the shipped dictionaries are trained by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mindscope.dictionaries import DictionaryConfig, TrainConfig
from mindscope.errors import DataError
from mindscope.organism import WorldName

Part = Literal["sae", "transcoder", "clt", "crosscoder"]
PARTS: tuple[Part, ...] = get_args(Part)

DEAD_TOKENS = 400_000
"""The paper's ten million are more than the whole training here."""


@dataclass(frozen=True)
class PartSize:
    """How large dictionaries are and how long they are trained.

    Attributes:
        latents: of each coder.
        k: active latents per token and coder.
        steps: batches of 2,048 tokens.
    """

    latents: int
    k: int
    steps: int
    learning_rate: float


N_LAYERS: dict[WorldName, int] = {"first": 4, "second": 6}
SIZES: dict[WorldName, dict[Part, PartSize]] = {
    "first": {
        "sae": PartSize(4096, 20, 3000, 6e-4),
        "transcoder": PartSize(2048, 24, 3000, 8e-4),
        "clt": PartSize(2048, 32, 4000, 8e-4),
    },
    # Of six layers; all of them together take 44 MB.
    "second": {
        "sae": PartSize(1280, 24, 3000, 8e-4),
        "transcoder": PartSize(1024, 24, 2000, 8e-4),
        "clt": PartSize(1536, 32, 2000, 8e-4),
        "crosscoder": PartSize(1408, 48, 1500, 8e-4),
    },
}


def order_parts(parts: Sequence[Part], world: WorldName = "first") -> list[Part]:
    """In the order of `PARTS`, each once; all that a world has where none is named.

    Raises:
        DataError: the world's dictionaries have no such part.
    """
    missing = [part for part in parts if part not in SIZES[world]]
    if missing:
        raise DataError(f"the {world} organism has no {missing[0]}: choose of {', '.join(SIZES[world])}")
    return [part for part in PARTS if part in (parts or SIZES[world])]


def recipe(part: Part, steps: int | None = None, world: WorldName = "first") -> TrainConfig:
    """SAEs of every layer's residual stream, transcoders of every MLP, one CLT, or one crosscoder of all
    layers' residual streams: BatchTopK all of them.

    The first organism's SAEs are the widest: with 2,048 latents and a third of the steps a layer had single
    latents for about 30 concepts of the world, with 4,096 for 68. Learning rates are higher than the paper's
    scaling law says, since the training is short.

    Args:
        part: what to train.
        steps: fewer make first, weaker dictionaries.
        world: whose organism they are of.
    """
    layers = range(N_LAYERS[world])
    stream, mlp_in, mlp_out = (
        tuple(f"{name}.{layer}" for layer in layers) for name in ("resid_post", "mlp_in", "mlp_out")
    )
    # Part -> (name, reads, writes) of its dictionaries.
    wiring: dict[Part, list[tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
        "sae": [(f"sae.{layer}", (stream[layer],), ()) for layer in layers],
        "transcoder": [(f"transcoder.{layer}", (mlp_in[layer],), (mlp_out[layer],)) for layer in layers],
        "clt": [("clt", mlp_in, mlp_out)],
        "crosscoder": [("crosscoder", stream, ())],
    }
    size = SIZES[world][part]
    return TrainConfig(
        dictionaries=tuple(
            DictionaryConfig(
                name=name,
                kind=part,
                reads=reads,
                writes=writes,
                n_latents=size.latents,
                k=size.k,
                learning_rate=size.learning_rate,
                dead_tokens=DEAD_TOKENS,
            )
            for name, reads, writes in wiring[part]
        ),
        steps=steps or size.steps,
        batch_tokens=2048,
        buffer_batches=64,
    )
