"""Random dictionaries of every kind for tiny models, and the prompts they are tried on."""

import pytest
import torch

from mindscope.dictionaries import Activation, Coder, Dictionary, Site, Wiring
from mindscope.errors import MindscopeError
from mindscope.models import Model, Row

LATENTS = 40
ROW = Row((60, 1, 17, 42, 8, 23, 9, 3, 3, 11), 10)
"""With the beginning-of-text token of `tiny_models`, and a token twice."""


def dictionary(
    model: Model,
    *,
    cross: bool = False,
    activation: Activation = "relu",
    skip: bool = False,
    read: str = "mlp_in",
    write: str = "mlp_out",
    layers: int | None = None,
    width: int | None = None,
) -> Dictionary:
    """Random transcoders of all layers, or a cross-layer transcoder, weak enough that errors stay small."""
    draw = torch.Generator().manual_seed(1)
    count, d = layers or model.n_layers, width or model.d_model

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw) * 0.1

    coders, wirings = [], []
    for layer in range(count):
        writes = tuple(range(layer, count)) if cross else (layer,)
        coders.append(
            Coder(
                random(LATENTS, d),
                random(LATENTS),
                random(LATENTS, d * len(writes)),
                random(LATENTS).abs() if activation in ("jumprelu", "batchtopk") else None,
                random(d, d * len(writes)) if skip else None,
            )
        )
        wirings.append(Wiring((layer,), writes, LATENTS))
    return Dictionary(
        tuple(Site(f"{read}.{layer}", d) for layer in range(count)),
        tuple(Site(f"{write}.{layer}", d) for layer in range(count)),
        tuple(wirings),
        tuple(coders),
        random(count * d),
        activation,
        k=5,
    )


def require_line(error: pytest.ExceptionInfo[MindscopeError], *words: str) -> None:
    """The error is one line, and says these words."""
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text
