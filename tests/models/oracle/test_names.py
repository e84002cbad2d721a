"""Names of other tools, against what the modules themselves carry."""

import pytest
import torch
from tiny_models import FAMILIES, build, rows

from mindscope.errors import ModelError
from mindscope.models import Model, Raw, Read
from mindscope.models.hooks.names import (
    address_of_hook,
    address_of_module,
    hook_of_address,
    module_of_address,
)

NAMED = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module", params=["llama", "gemma2", "gpt2"])
def model(request: pytest.FixtureRequest) -> Model:
    return build(NAMED[request.param])


def watched(model: Model, module: torch.nn.Module, side: str, row) -> torch.Tensor:
    """What a plain hook sees."""
    seen = []

    def keep(_, args, kwargs, out):
        out = out[0] if isinstance(out, tuple) else out
        seen.append(out if side == "output" else (args[0] if args else kwargs["hidden_states"]))

    handle = module.register_forward_hook(keep, with_kwargs=True)
    with torch.inference_mode():
        model.hf(input_ids=torch.tensor([row.ids]))
    handle.remove()
    return seen[0][0]


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("part", ["", ".mlp"])
def test_address_of_module(model: Model, part: str, side: str):
    family = NAMED[model.name.removeprefix("tiny ")]
    path = f"{family.blocks}.1{part}"
    row = rows()[1]
    address = address_of_module(path, model, side)
    read = model.read([row], {"it": Read(address, Raw("all"))})["it"].values[0]
    torch.testing.assert_close(read, watched(model, model.hf.get_submodule(path), side, row))
    if side == "output":
        assert module_of_address(address, model) == (path, "output")


def test_inside_of_a_norm(model: Model):
    row = rows()[1]
    named = address_of_hook("blocks.1.ln2.hook_normalized", model)
    read, before = (
        model.read([row], {"it": Read(address, Raw("all"))})["it"].values[0]
        for address in (named.address, "resid_mid.1")
    )
    inside = (read - (0 if named.shift is None else named.shift)) / named.gain
    centred = before - before.mean(1, keepdim=True) if model.name == "tiny gpt2" else before
    wanted = centred / (centred.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(inside, wanted, rtol=1e-4, atol=1e-4)


def test_hooks(model: Model):
    assert address_of_hook("blocks.2.hook_resid_post").address == "resid_post.2"
    post = address_of_hook("blocks.2.hook_mlp_out", model).address
    assert post == ("mlp_out_post.2" if model.name == "tiny gemma2" else "mlp_out.2")
    assert hook_of_address("resid_mid.3") == "blocks.3.hook_resid_mid"
    for bad in ("blocks.1.hook_mlp_in", "layers.1"):
        with pytest.raises(ModelError, match="no address here"):
            address_of_hook(bad, model)
    with pytest.raises(ModelError, match="architecture"):
        address_of_hook("blocks.2.hook_mlp_out")
    with pytest.raises(ModelError, match="no module"):
        address_of_module("layers.99.mlp", model)
    with pytest.raises(ModelError, match="has no address"):
        address_of_module("lm_head", model)
