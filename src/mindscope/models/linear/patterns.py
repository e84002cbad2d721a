"""Attention as transformers' attention interface sees it: recorded, held, or replaced by a function.

Every architecture that goes through the interface hands its queries, keys and values to one function, whose
name is in its config. For the length of a `with` block that name is ours, so nothing needs to know what the
modules are called: a table says which module is which layer of which model, and whose handler is asked.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel

_NAME = "mindscope_observed"


@dataclass(frozen=True, slots=True, eq=False)
class AttentionRecord:
    """What one attention module worked with in one forward pass; positions turned (RoPE) as it had them.

    Attributes:
        query: `[rows, heads, columns, head_dim]`.
        key: `[rows, key_value_heads, columns, head_dim]`; heads share keys and values in groups.
        value: like `key`.
        pattern: `[rows, heads, columns, columns]`, how much each query takes of each value.
        scaling: what scores are multiplied by.
        softcap: scores s became softcap * tanh(s / softcap), or None.
        mask: what was then added to scores: very low where a query may not look. None where all may.
    """

    query: Float[Tensor, "rows heads columns head_dim"]
    key: Float[Tensor, "rows kv_heads keys head_dim"]
    value: Float[Tensor, "rows kv_heads keys value_dim"]
    pattern: Float[Tensor, "rows heads columns keys"]
    scaling: float
    softcap: float | None = None
    mask: Float[Tensor, "rows _ columns keys"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AttentionCall:
    """One call of the attention function: the module's layer and what the module handed over."""

    layer: int
    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    options: Mapping[str, Any]

    def computed(self) -> tuple[Tensor, Tensor]:
        """What the architecture's own plain attention makes of it: output and pattern."""
        plain = getattr(sys.modules[type(self.module).__module__], "eager_attention_forward", None)
        if plain is None:
            raise ModelError(f"{type(self.module).__name__} has no attention whose pattern can be seen")
        output, pattern = plain(
            self.module, self.query, self.key, self.value, self.mask, **dict(self.options)
        )
        return output, pattern


Handler = Callable[[AttentionCall], tuple[Tensor, Tensor | None]]
"""Gives the output `[rows, columns, heads, head_dim]`, and the pattern if there is one."""

_HANDLERS: dict[nn.Module, tuple[int, Handler]] = {}
"""By attention module, so that models in several threads do not meet."""


def _observed(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    layer, handler = _HANDLERS[module]
    return handler(AttentionCall(layer, module, query, key, value, attention_mask, options))


AttentionInterface.register(_NAME, _observed)
AttentionMaskInterface.register(_NAME, eager_mask)


@contextmanager
def attending(model: HookedModel, handler: Handler) -> Iterator[None]:
    """In the block `handler` is every layer's attention function, in every forward pass of the model.

    Raises:
        ModelError: the architecture does not go through transformers' attention interface.
    """
    arch = model.engine.arch
    if not model.hf._supports_attention_backend:
        raise ModelError(
            f"{model.name} ({arch.architecture}) does not attend through transformers' attention interface, "
            "so its patterns cannot be held: choose another architecture"
        )
    try:
        modules = [arch.attn_module(layer) for layer in range(model.n_layers)]
    except (AttributeError, ValueError) as error:
        raise ModelError(f"{model.name} has layers without attention: {error}") from error
    configs: dict[int, Any] = {
        id(module.config): module.config for module in (arch.trunk, *modules) if hasattr(module, "config")
    }
    with model.edited([]):  # holds the model for this thread
        if any(module in _HANDLERS for module in modules):
            raise ModelError("attention is observed already: do not nest these blocks")
        # Modules may share one config or have copies; each distinct one is changed once, and put back.
        before = {key: config._attn_implementation for key, config in configs.items()}
        _HANDLERS.update({module: (layer, handler) for layer, module in enumerate(modules)})
        try:
            for config in configs.values():
                config._attn_implementation = _NAME
            yield
        finally:
            for key, config in configs.items():
                config._attn_implementation = before[key]
            for module in modules:
                del _HANDLERS[module]


@contextmanager
def recorded_attention(model: HookedModel) -> Iterator[dict[int, AttentionRecord]]:
    """What every layer's attention worked with, by layer: always of the latest forward pass.

    Raises:
        ModelError: the architecture does not go through transformers' attention interface.
    """
    seen: dict[int, AttentionRecord] = {}

    def record(call: AttentionCall) -> tuple[Tensor, Tensor]:
        output, pattern = call.computed()
        scaling, softcap = call.options.get("scaling"), call.options.get("softcap")
        scaling = call.query.shape[-1] ** -0.5 if scaling is None else scaling
        seen[call.layer] = AttentionRecord(
            call.query, call.key, call.value, pattern, scaling, softcap, call.mask
        )
        return output, pattern

    with attending(model, record):
        yield seen
