"""Which modules write to the residual stream, and by what factor: found by asking the model."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from interp_engine.hooks import HookManager
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.hooks.read import Read, read_rows
from mindscope.models.hooks.reduce import Raw
from mindscope.models.tokens.rows import Row

NAMES = (
    *("o_proj", "c_proj", "out_proj", "dense", "wo", "Wo"),  # of attention and of state-space mixers
    *("down_proj", "dense_4h_to_h", "fc_out", "fc2", "w2"),  # of MLPs and of experts
    *("output_linear", "linear_fc2", "mlp_down"),
)
"""What architectures call a matrix whose product is added to the stream. Whether one is, is measured."""
EXPERT_BIASES = ("down_proj_bias",)
"""What architectures call the biases of experts that they keep in one tensor, `[experts, d_model]`."""
TOLERANCE = 1e-3
"""The largest error, relative to what was added, with which something still arrives as itself. Behind a norm
or a nonlinearity the error is of the order of 1; of rounding in float32 it is below 1e-5."""
PROBE_TOKENS = 8


@dataclass(frozen=True, slots=True, eq=False)
class StreamWriter:
    """A module to whose output something constant can be added.

    Attributes:
        name: its full name in the Hugging Face model.
        module: the module.
        factor: what is added to its output arrives at the address times this: 1, or a residual multiplier.
    """

    name: str
    module: nn.Module
    factor: float


def find_writers(model: HookedModel, address: str) -> list[StreamWriter]:
    """The modules whose outputs arrive at an address as they are, up to a factor; the latest first.

    Each candidate is asked: something random is added to its output at every token of a row, and what has
    changed at the address must be that, times one factor. A norm behind the module, a gate, or another
    module that reads the sum on the way changes it otherwise, and the module is none.

    Raises:
        ModelError: the address is not in this model.
    """
    place = model.place(address)
    names = {module: name for name, module in model.hf.named_modules()}
    found = [
        StreamWriter(names[module], module, factor)
        for module in _candidates(model, address)
        if (factor := _factor(model, module, address)) is not None
    ]
    own = [writer for writer in found if writer.module is place.module]
    return own + [writer for writer in reversed(found) if writer.module is not place.module]


def output_matrices(model: HookedModel) -> Iterator[tuple[str, nn.Module | nn.Parameter]]:
    """Every module of the blocks that bears the name of one whose product is added to the stream, and
    experts' tensors of such a name, by their full names.
    """
    for layer in range(model.n_layers):
        block = model.engine.arch.block(layer)
        prefix = next(name for name, module in model.hf.named_modules() if module is block)
        for name, module in block.named_modules():
            leaf = name.rpartition(".")[2]
            if leaf in NAMES and is_matrix(module) and out_width(module) == model.d_model:
                yield f"{prefix}.{name}", module
            for own, parameter in module.named_parameters(recurse=False):
                if own in NAMES and parameter.ndim == 3:
                    yield f"{prefix}.{name}.{own}", parameter


def is_matrix(module: nn.Module) -> bool:
    """Whether a module is a plain matrix product, with or without a bias."""
    return isinstance(module, nn.Linear | Conv1D)


def out_width(module: nn.Module) -> int:
    """How wide the output of a matrix is."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[1] if isinstance(module, Conv1D) else weight.shape[0]


def _candidates(model: HookedModel, address: str) -> Iterator[nn.Module]:
    point, _, number = address.partition(".")
    arch = model.engine.arch
    if point == "embeddings" or address == "resid_pre.0":
        yield model.hf.get_input_embeddings()
        return
    layer = int(number) - (point == "resid_pre")
    for module in arch.block(layer).modules():
        names = [name for name, child in arch.block(layer).named_modules() if child is module]
        leaf = names[0].rpartition(".")[2]
        named = leaf in NAMES and is_matrix(module) and out_width(module) == model.d_model
        if named or any(hasattr(module, name) for name in EXPERT_BIASES):
            yield module
    for norm in (arch.post_attn_norm(layer), arch.post_mlp_norm(layer)):
        if norm is not None and getattr(norm, "bias", None) is not None:
            yield norm


def embedding_scale(model: HookedModel) -> float:
    """What the rows of the token table are multiplied by before they are handed on (Gemma: √d_model)."""
    table = model.hf.get_input_embeddings()
    ids = torch.arange(PROBE_TOKENS, device=table.weight.device)
    with torch.no_grad():
        given, rows = table(ids).float(), table.weight[ids].float()
    return float((given * rows).sum() / rows.square().sum().clamp_min(1e-30))


def _factor(model: HookedModel, module: nn.Module, address: str) -> float | None:
    before = _read(model, address)
    generator = torch.Generator().manual_seed(0)
    added = torch.randn(model.d_model, generator=generator) * before.square().mean().sqrt()

    def write(output: Tensor) -> Tensor:
        return output + added.to(output.device, output.dtype)

    with model.edited([]), HookManager() as hooks:
        hooks.write(module, write, point="output")
        changed = _read(model, address) - before
    factor = float((changed @ added).mean() / added.square().sum())
    error = (changed - factor * added).norm(dim=-1) / added.norm()
    if abs(factor) < TOLERANCE or error.max() > TOLERANCE * max(1.0, abs(factor)):
        return None
    return 1.0 if abs(factor - 1) < TOLERANCE else factor


def _read(model: HookedModel, address: str) -> Float[Tensor, "tokens d_model"]:
    if model.dtype != torch.float32:
        raise ModelError(f"what writes to {address} is found in float32: load {model.name} with it")
    row = Row(tuple(i % model.vocab_size for i in range(5, 5 + PROBE_TOKENS)), PROBE_TOKENS)
    return read_rows(
        model, [row], {"here": Read(address, Raw("all"))}, edits=None, batch_tokens=None, progress=None
    )["here"].values[0]
