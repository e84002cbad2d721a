"""Which modules of a model are its norms, and what its MLPs read: told by the tensors that pass by."""

from functools import partial

import numpy as np
import torch
from interp_engine.hooks import HookManager, extract_hidden, hidden_from_call
from torch import Tensor, nn

from mindscope.errors import ModelError
from mindscope.models.hooks.core import HookedModel
from mindscope.models.tokens.batch import BatchLayout


def find_norm_modules(model: HookedModel) -> tuple[dict[str, nn.Module], bool]:
    """By address, the norm that makes what is there: told by its output being that very tensor.

    And whether blocks are parallel: told by the MLP's norm, or the MLP where it has none, taking in the very
    numbers that the block does.
    """
    arch = model.engine.arch
    modules: dict[str, nn.Module] = {}
    for layer in range(model.n_layers):
        for name, norm in (
            ("attn_out_post", arch.post_attn_norm(layer)),
            ("mlp_out_post", arch.post_mlp_norm(layer)),
        ):
            if norm is not None:
                modules[f"{name}.{layer}"] = norm
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []  # kept, so that no memory is used twice in the pass
    read: dict[str, Tensor] = {}

    def note(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        taken, given = hidden_from_call(args, kwargs), extract_hidden(output)
        if taken is not None and isinstance(given, Tensor):
            calls.append((module, taken, given))

    # Every module inside every block says what it took in and gave out; memory addresses then tell which of
    # them made the tensor that attention, or the MLP, takes in.
    handles = [
        module.register_forward_hook(note, with_kwargs=True)
        for layer in range(model.n_layers)
        for module in arch.block(layer).modules()
        if module is not arch.block(layer)
    ]
    names = ("attn_in", "mlp_in", "resid_pre")
    addresses = [f"{name}.{layer}" for layer in range(model.n_layers) for name in names]
    try:
        with model.edited([]), HookManager() as hooks:
            for address in addresses:
                place = model.place(address)
                hooks.read(place.module, partial(read.__setitem__, address), point=place.side)
            pass_tokens_alone(model, 1)
    finally:
        for handle in handles:
            handle.remove()
    sources = dict(read)
    for address, tensor in read.items():
        for module, taken, given in calls:
            # A module that hands its input on (an identity, dropout in eval mode) did not make it.
            made_it = given.data_ptr() == tensor.data_ptr() and taken.data_ptr() != given.data_ptr()
            if made_it and not address.startswith("resid_pre"):
                modules[address], sources[address] = module, taken
                break
    if arch.final_norm is not None:
        modules["final_norm"] = arch.final_norm
    alike = {
        torch.equal(sources[f"mlp_in.{layer}"].flatten(), read[f"resid_pre.{layer}"].flatten())
        for layer in range(model.n_layers)
    }
    if len(alike) > 1:
        raise ModelError(f"{model.name} has parallel blocks and others; choose another architecture")
    return modules, alike == {True}


def pass_tokens_alone(model: HookedModel, rows: int) -> None:
    """A forward pass of rows of one token."""
    ids = np.zeros((rows, 1), np.int64)
    with torch.no_grad():
        model.forward_pass(ids, BatchLayout(ids, np.ones(rows, np.int64)), logits=False)
