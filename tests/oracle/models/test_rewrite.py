"""Replacing activations by functions of others, against plain hooks and against the identity."""

import pytest
import torch
from tiny_models import FAMILIES, build, hooks_on, rows

from mindscope.errors import ModelError
from mindscope.models import Model
from mindscope.models.rewrite import rewritten

NAMED = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module", params=["llama", "gemma2", "gpt2", "qwen3_moe"])
def model(request: pytest.FixtureRequest) -> Model:
    return build(NAMED[request.param])


def logits(model: Model) -> torch.Tensor:
    with torch.inference_mode():
        return model.hf(**model.batch(rows()[:3]), use_cache=False).logits


def test_the_same_again_changes_nothing(model: Model):
    before = logits(model)
    with rewritten(model, ["mlp_in.1"], ["resid_post.0", "mlp_out.1"], lambda _, hidden, seen: hidden):
        torch.testing.assert_close(logits(model), before)
    assert hooks_on(model) == 0


def test_a_function_of_what_was_read_earlier(model: Model):
    matrix = torch.randn(model.d_model, model.d_model, generator=torch.Generator().manual_seed(0))
    mlp = model.hf.get_submodule(f"{NAMED[model.name.removeprefix('tiny ')].blocks}.1.mlp")

    def by_hand(_module, args, kwargs, output):
        new = torch.tanh((args[0] if args else kwargs["hidden_states"]) @ matrix)
        return (new.view_as(output[0]), *output[1:]) if isinstance(output, tuple) else new.view_as(output)

    handle = mlp.register_forward_hook(by_hand, with_kwargs=True)
    wanted = logits(model)
    handle.remove()
    calls = []

    def rewrite(address, hidden, seen):
        calls.append((address, set(seen)))
        return torch.tanh(seen["mlp_in.1"] @ matrix)

    with rewritten(model, ["mlp_in.1"], ["mlp_out.1"], rewrite):
        torch.testing.assert_close(logits(model), wanted)
        logits(model)
    assert calls == [("mlp_out.1", {"mlp_in.1"})] * 2


def test_what_is_read_is_what_the_rewriting_led_to(model: Model):
    seen_there = []

    def rewrite(address, hidden, seen):
        if address == "resid_post.1":
            seen_there.append(seen["resid_post.0"].clone())
            return hidden
        return torch.zeros_like(hidden)

    with rewritten(model, ["resid_post.0"], ["resid_post.0", "resid_post.1"], rewrite):
        logits(model)
    # At an address that is both read and written, what was there before the rewriting is read.
    assert seen_there[0].abs().max() > 0


def test_bad_places_and_errors_leave_no_hook(model: Model):
    with pytest.raises(ModelError), rewritten(model, [], ["resid_post.99"], lambda *_: None):
        pass

    def fail(*_):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"), rewritten(model, [], ["resid_post.0"], fail):
        logits(model)
    assert hooks_on(model) == 0
