"""Replacing activations by functions of others, against plain hooks and against the identity."""

import pytest
import torch
from tiny_models import FAMILIES, build, hooks_on, rows

from mindscope.errors import ModelError
from mindscope.models import Edit, Mean, Model, Read, Sampling
from mindscope.models.hooks.rewrite import rewritten

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


def test_a_rewriting_knows_each_row_and_token_of_our_own_passes(model: Model):
    """Rows are sorted by length, padded and leave the batch when they end: each is told by its number."""
    given = rows()
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))

    def rewrite(address, hidden, seen):
        now = passing.layout
        pushed = [
            [float(caller) * (position == len(given[caller]) - 1) for position in line]
            for caller, line in zip(now.callers, now.positions, strict=True)
        ]
        return hidden + torch.tensor(pushed, dtype=hidden.dtype)[..., None] * direction

    edits = [
        [Edit("resid_post.1", "add", direction, float(i), (len(row) - 1,))] if i else []
        for i, row in enumerate(given)
    ]
    reads, sampling = {"x": Read("resid_post.2", Mean("all"))}, Sampling(temperature=0, max_new_tokens=6)
    wanted = model.generate(given, sampling, edits=edits, reads=reads)
    logits_wanted = model.next_logits(given, edits=edits)
    with rewritten(model, [], ["resid_post.1"], rewrite) as passing:
        found = model.generate(given, sampling, reads=reads)
        torch.testing.assert_close(model.next_logits(given), logits_wanted)
        early = model.read(given, {"x": Read("resid_post.0", Mean("all"))})  # ends before what is rewritten
    assert early["x"].valid.all()
    for one, other in zip(found, wanted, strict=True):
        assert one.row.ids == other.row.ids
        torch.testing.assert_close(one.reads["x"], other.reads["x"])
    assert hooks_on(model) == 0


def test_a_place_that_does_not_run_is_an_error(model: Model, monkeypatch):
    with rewritten(model, [], ["mlp_out.1"], lambda _, hidden, seen: hidden):
        block = model.engine.arch.block(1)
        monkeypatch.setattr(block, "forward", lambda hidden, *_, **__: hidden)
        with pytest.raises(ModelError, match=r"mlp_out\.1 never ran"):
            logits(model)
    assert hooks_on(model) == 0


def test_bad_places_and_errors_leave_no_hook(model: Model):
    with pytest.raises(ModelError), rewritten(model, [], ["resid_post.99"], lambda *_: None):
        pass

    def fail(*_):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"), rewritten(model, [], ["resid_post.0"], fail):
        logits(model)
    assert hooks_on(model) == 0
