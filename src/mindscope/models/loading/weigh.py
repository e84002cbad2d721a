"""How large a model is, before any of its weights is read; and one like it with random weights, to time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.loading.adapters import base_of, is_adapter
from mindscope.models.loading.gguf import find_gguf, unpack_gguf
from mindscope.models.loading.gguf_reader import open_gguf
from mindscope.models.loading.loading import (
    _from_hub,
    _source,
    is_fast_in_bfloat16,
    quiet_library,
    split_revision,
)
from mindscope.models.loading.options import LoadOptions

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""How configurations call the number of experts of which a router chooses some for each token."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a causal language model.

    Attributes:
        name: what it was asked for by.
        parameters: all of them; tied ones once.
        active_parameters: those that one token goes through: of experts only the chosen ones.
        embedding: numbers of the embedding's matrix, which a token looks up and does not multiply with.
        n_layers, d_model, n_heads, n_kv_heads, head_dim, vocab_size: sizes.
        is_tied: whether the unembedding is the embedding.
        context: the most tokens of a row; None where no limit is set.
    """

    name: str
    parameters: int
    active_parameters: int
    embedding: int
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    is_tied: bool
    context: int | None

    @property
    def block_parameters(self) -> int:
        """Numbers of all blocks that a token is multiplied with."""
        return self.active_parameters - self.embedding - (0 if self.is_tied else self.embedding)

    @property
    def cache_bytes(self) -> int:
        """Bytes of keys and values of one token in half precision."""
        return 2 * 2 * self.n_layers * self.n_kv_heads * self.head_dim


def count_parameters(name: str, options: LoadOptions | None = None) -> int:
    """The number of a model's parameters: of a GGUF file by its table, else by what its configuration builds.

    The model is built without storage, so this takes a second for any size. An adapter counts as its base.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached.
    """
    options = options or LoadOptions()
    name, revision = split_revision(name, options.revision)
    if is_adapter(Path(name)):
        base, revision = base_of(Path(name))
        return count_parameters(base, options.model_copy(update={"revision": revision}))
    if (file := find_gguf(Path(name))) is not None:
        try:
            return sum(int(tensor.n_elements) for tensor in open_gguf(file).tensors)
        except (ValueError, OSError, IndexError, KeyError) as error:
            raise ModelError(
                f"{file} is not a GGUF file or cut short ({error}); download it again"
            ) from error
    model = _build(_read_config(name, options.model_copy(update={"revision": revision})), options, "meta")
    return sum(parameter.numel() for parameter in model.parameters())


def read_shape(name: str, options: LoadOptions | None = None) -> ModelShape:
    """The sizes of a model: a hub name, a folder, its config.json alone, a GGUF file, or `organism`.

    No weight is read; of a GGUF file the whole is unpacked, as when it is loaded.

    Raises:
        ModelError: there is no such model, or its configuration is not of a causal language model.
    """
    options = options or LoadOptions()
    return _shape_of(_build(_read_config(name, options), options, "meta"), name)


def shape_of(model: HookedModel) -> ModelShape:
    """The sizes of a loaded model."""
    return _shape_of(model.hf, model.name)


def best_cpu_dtype(width: int) -> str:
    """The precision that `load` chooses on this machine's CPU for a model so wide."""
    return "bfloat16" if is_fast_in_bfloat16(width) else "float32"


def _shape_of(model: Any, name: str) -> ModelShape:
    text = model.config.get_text_config()
    parameters = {key: parameter.numel() for key, parameter in model.named_parameters()}
    total, experts = sum(parameters.values()), sum(n for key, n in parameters.items() if ".experts." in key)
    n_experts = next((number for key in EXPERTS if (number := getattr(text, key, None))), None)
    chosen = getattr(text, "num_experts_per_tok", None)
    idle = round(experts * (1 - chosen / n_experts)) if n_experts and chosen else 0
    try:
        heads = text.num_attention_heads
        return ModelShape(
            name=name,
            parameters=total,
            active_parameters=total - idle,
            embedding=text.vocab_size * text.hidden_size,
            n_layers=text.num_hidden_layers,
            d_model=text.hidden_size,
            n_heads=heads,
            n_kv_heads=getattr(text, "num_key_value_heads", None) or heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
            vocab_size=text.vocab_size,
            is_tied=model.get_input_embeddings().weight is model.get_output_embeddings().weight,
            context=getattr(text, "max_position_embeddings", None),
        )
    except AttributeError as error:
        raise ModelError(
            f"the configuration of {name} does not say its sizes ({error}): take another family"
        ) from error


def build_stand_in(name: str, dtype: torch.dtype, options: LoadOptions | None = None) -> tuple[Any, Any]:
    """A model of the same configuration with random weights on the CPU, and a tokenizer of a few words.

    It takes the time and the memory of the real one, and says nothing.

    Raises:
        ModelError: see `read_shape`.
    """
    options = options or LoadOptions()
    model = _build(_read_config(name, options), options, "cpu", dtype)
    model.generation_config.eos_token_id = None
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    return model.eval(), PreTrainedTokenizerFast(tokenizer_object=words)


def _read_config(name: str, options: LoadOptions) -> Any:
    name, revision = split_revision(name, options.revision)
    path = Path(name)
    if is_adapter(path):
        base, revision = base_of(path)
        return _read_config(base, options.model_copy(update={"revision": revision}))
    with quiet_library():
        if (file := find_gguf(path)) is not None:
            source = str(unpack_gguf(file))
        else:
            source = name if path.is_file() and path.suffix == ".json" else _source(name)
        trust = options.trust_remote_code
        return _from_hub(AutoConfig, source, name, revision=revision, trust_remote_code=trust)


def _build(config: Any, options: LoadOptions, device: str, dtype: torch.dtype | None = None) -> Any:
    kept = {} if dtype is None else {"dtype": dtype}
    with quiet_library(), torch.device(device):
        try:
            return AutoModelForCausalLM.from_config(
                config, trust_remote_code=options.trust_remote_code, **kept
            )
        except ValueError as error:
            raise ModelError(
                f"a {config.model_type} is no causal language model: {' '.join(str(error).split())[:200]}"
            ) from error
