"""What is known of a loaded model before it runs: sizes, devices, names, and what it takes and how."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from interp_engine import EagerModel
from torch import nn
from transformers.pytorch_utils import Conv1D

from mindscope.errors import ModelError
from mindscope.models.hooks.row_ropes import find_length_ropes, find_rope_seam
from mindscope.models.loading.placement import input_device, is_split


class ModelFacts:
    """A Hugging Face causal language model and what can be said of it. Nothing about it is changed."""

    def __init__(self, hf: Any, tokenizer: Any, name: str):
        self.hf, self.tokenizer, self.name = hf, tokenizer, name
        self.engine = _engine(hf, tokenizer, name)
        self.n_layers, self.d_model = self.engine.n_layers, self.engine.d_model

    @property
    def device(self) -> torch.device:
        """Where the model runs; where it takes its token ids, if it is shared out over several devices."""
        return input_device(self.hf)

    @cached_property
    def is_split(self) -> bool:
        """Whether its weights are on several devices, or some of them wait in memory or on disk."""
        return is_split(self.hf)

    def require_whole(self, what: str) -> None:
        """Raises ModelError where `what` needs all weights on one device and the model is shared out."""
        if self.is_split:
            raise ModelError(
                f"{what} needs all weights of {self.name} on one device: load it without a device map"
            )

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored as."""
        return self.engine.dtype

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary has."""
        return self.engine.vocab_size

    @property
    def model_type(self) -> str:
        """The family, as transformers' configurations call it: `llama`, `qwen2`, …"""
        return self.hf.config.model_type

    @property
    def architecture(self) -> str:
        """The name of the architecture, as messages give it."""
        return self.engine.arch.architecture

    @property
    def context_length(self) -> int | None:
        """The most tokens a row may have; None where the architecture sets no limit."""
        return self._context_length

    @cached_property
    def _context_length(self) -> int | None:
        return getattr(self.hf.config.get_text_config(), "max_position_embeddings", None)

    @property
    def projections(self) -> tuple[str, ...]:
        """The full names, in `hf`, of every projection matrix inside the blocks: what LoRA adapts.

        In a Llama these are the seven of each block (q, k, v, o, gate, up, down); fused ones count once.
        Experts that a family keeps in one tensor, and routers, are not among them. Nor is what Mamba blocks
        give out: their kernels take that matrix itself, past any adapter, and peft refuses it.
        """
        blocks = [self.engine.arch.block(layer) for layer in range(self.n_layers)]
        inside = {
            module
            for block in blocks
            for module in block.modules()
            if isinstance(module, nn.Linear | Conv1D) and "Router" not in type(module).__name__
        }
        names = [name for name, module in self.hf.named_modules() if module in inside]
        if self.model_type in _MAMBA:
            names = [name for name in names if not name.endswith(".out_proj")]
        return tuple(names)

    @property
    def pass_tokens(self) -> int:
        """How many tokens one forward pass takes well: on a CPU more only costs memory."""
        return 1024 if self.device.type == "cpu" else 16384

    @cached_property
    def length_ropes(self) -> tuple[nn.Module, ...]:
        """The rotary modules whose frequencies depend on the length of a row; most families have none."""
        return find_length_ropes(self.engine.arch.trunk)

    @cached_property
    def rope_seam(self) -> int | None:
        """The most tokens of a row whose rotary positions are those of short rows; None: of any length."""
        return min(map(find_rope_seam, self.length_ropes), default=None)

    @cached_property
    def takes_positions(self) -> bool:
        """Whether the model is told at which position of its row each token stands."""
        return "position_ids" in inspect.signature(self.engine.arch.trunk.forward).parameters

    @cached_property
    def cache_name(self) -> str:
        """What the model calls the argument that hands it keys, values and states of earlier columns.

        Raises:
            ModelError: it takes none that is known here.
        """
        taken = inspect.signature(self.engine.arch.trunk.forward).parameters
        names = [name for name in ("past_key_values", "cache_params") if name in taken]
        if not names:
            raise ModelError(
                f"{self.name} ({self.architecture}) takes no cache known here: choose another architecture"
            )
        return names[0]


_MAMBA = ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h")
"""The families whose `out_proj` peft refuses to adapt."""


def _engine(hf: Any, tokenizer: Any, name: str) -> EagerModel:
    """Wrap a model without changing it, though interp-engine freezes weights and leaves training mode."""
    trained = [parameter for parameter in hf.parameters() if parameter.requires_grad]
    try:
        with in_eval(hf):
            engine = EagerModel(name, hf_model=hf, tokenizer=tokenizer)
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{name} is not a decoder-only language model that this opens: {error}") from error
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
    return engine


@contextmanager
def in_eval(hf: Any) -> Iterator[None]:
    """Dropout off, for a look at a model in the middle of its training; then every module as it was."""
    modes = {module: module.training for module in hf.modules()}
    hf.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
