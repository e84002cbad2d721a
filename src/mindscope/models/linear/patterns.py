"""Attention as transformers' attention interface sees it: recorded, held, or replaced by a function.

Every architecture that goes through the interface hands its queries, keys and values to one function, whose
name is in its config. For the length of a `with` block that name is ours, so nothing needs to know what the
modules are called: a table says which module is which layer of which model, and whose handler is asked.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel

_NAME = "mindscope_observed"
NUMBERS_AT_ONCE = 2**24
"""Numbers of a pattern that are made at a time where it is not kept: 64 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class AttentionRecord:
    """What one attention module worked with in one forward pass; positions turned (RoPE) as it had them.

    A long prompt's patterns are not kept: they are made again from queries and keys, some at a time.

    Attributes:
        query: `[rows, heads, columns, head_dim]`.
        key: `[rows, key_value_heads, columns, head_dim]`; heads share keys and values in groups.
        value: like `key`.
        kept: the pattern, where it was kept.
        call: what makes it again.
        scaling: what scores are multiplied by.
        softcap: scores s became softcap * tanh(s / softcap), or None.
        mask: what was then added to scores: very low where a query may not look. None where all may.
    """

    query: Float[Tensor, "rows heads columns head_dim"]
    key: Float[Tensor, "rows kv_heads keys head_dim"]
    value: Float[Tensor, "rows kv_heads keys value_dim"]
    kept: Float[Tensor, "rows heads columns keys"] | None
    call: "AttentionCall"
    scaling: float
    softcap: float | None = None
    mask: Float[Tensor, "rows _ columns keys"] | None = None

    @property
    def pattern(self) -> Float[Tensor, "rows heads columns keys"]:
        """How much each query takes of each value, as a whole."""
        return self.call.computed()[1] if self.kept is None else self.kept

    def rows(
        self, queries: slice | Int[Tensor, "queries"], keys: slice = slice(None)
    ) -> Float[Tensor, "rows heads queries keys"]:
        """The pattern of some queries: at all keys, or at those outside which it is zero (`find_keys`)."""
        if self.kept is not None:
            return self.kept[:, :, queries, keys]
        return self.call.narrowed(keys).computed(queries)[1]


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

    def computed(self, queries: slice | Int[Tensor, "queries"] | None = None) -> tuple[Tensor, Tensor]:
        """What the architecture's own plain attention makes of it, or of some queries: output, pattern."""
        plain = getattr(sys.modules[type(self.module).__module__], "eager_attention_forward", None)
        if plain is None:
            raise ModelError(f"{type(self.module).__name__} has no attention whose pattern can be seen")
        query, mask = self.query, self.mask
        if queries is not None:
            query = query[:, :, queries]
            mask = mask if mask is None or mask.shape[2] == 1 else mask[:, :, queries]
        output, pattern = plain(self.module, query, self.key, self.value, mask, **dict(self.options))
        return output, pattern

    def narrowed(self, keys: slice) -> "AttentionCall":
        """The same call at some keys alone, for its pattern: of the values one number each is left."""
        mask = self.mask if self.mask is None else self.mask[..., keys]
        return replace(self, key=self.key[:, :, keys], value=self.value[:, :, keys, :1], mask=mask)

    def find_keys(self, queries: slice) -> slice:
        """The keys outside which the pattern of these queries is zero, since the mask hides them."""
        n_keys = self.key.shape[2]
        if self.mask is None or self.mask.shape[2] == 1:
            return slice(0, n_keys)
        own = self.mask[:, :, queries]
        seen = (own if own.dtype == torch.bool else own > torch.finfo(own.dtype).min / 2).flatten(0, -2)
        keys = seen.any(0).nonzero().flatten()
        return slice(int(keys[0]), int(keys[-1]) + 1) if len(keys) else slice(0, n_keys)

    def split_queries(self) -> list[slice]:
        """Queries in pieces of bounded patterns."""
        rows, heads, columns, _ = self.query.shape
        size = max(1, NUMBERS_AT_ONCE // (rows * heads * self.key.shape[2]))
        return [slice(start, min(start + size, columns)) for start in range(0, columns, size)]


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
def recorded_attention(model: HookedModel, *, keep: bool = True) -> Iterator[dict[int, AttentionRecord]]:
    """What every layer's attention worked with, by layer: always of the latest forward pass.

    Args:
        model: the model.
        keep: whether patterns are kept. If not, each pass makes them a few queries at a time.

    Raises:
        ModelError: the architecture does not go through transformers' attention interface.
    """
    seen: dict[int, AttentionRecord] = {}

    def record(call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        if keep:
            output, pattern = call.computed()
        else:  # outputs are [rows, columns, heads, head_dim]
            output = torch.cat([call.computed(queries)[0] for queries in call.split_queries()], dim=1)
            pattern = None
        scaling, softcap = call.options.get("scaling"), call.options.get("softcap")
        scaling = call.query.shape[-1] ** -0.5 if scaling is None else scaling
        seen[call.layer] = AttentionRecord(
            call.query, call.key, call.value, pattern, call, scaling, softcap, call.mask
        )
        return output, pattern

    with attending(model, record):
        yield seen
