"""What is linear in a model, found on the identity, and what is held, against the modules themselves."""

import pytest
import tiny_models
import torch

from mindscope.errors import ModelError
from mindscope.models import Edit, Model, Row
from mindscope.models.hooks.norms import linear_norm
from mindscope.models.linear.anatomy import find_linear_parts, mlp_maps
from mindscope.models.linear.frozen import freeze, frozen
from mindscope.models.linear.patterns import attending, recorded_attention

ROW = Row((60, 1, 17, 42, 8, 23, 9), 7)
INTERFACE = [one for one in tiny_models.FAMILIES if one.name not in ("falcon", "bloom")]


@pytest.fixture(params=INTERFACE, ids=lambda one: one.name)
def family(request: pytest.FixtureRequest) -> tiny_models.Family:
    return request.param


def test_holding_a_prompt_as_it_was_changes_nothing(model: Model):
    before = model.next_logits([ROW])[0]
    held = freeze(model, ROW, ["resid_pre.0"])
    torch.testing.assert_close(held.logits, before, atol=1e-5, rtol=1e-5)
    for pattern in held.patterns:
        assert pattern.shape[1:] == (7, 7)
        assert (pattern.triu(1) == 0).all()
    implementation = model.hf.config._attn_implementation
    with frozen(model, held):
        torch.testing.assert_close(model.next_logits([ROW])[0], before, atol=1e-5, rtol=1e-5)
        with pytest.raises(ModelError, match="belong to one prompt"):
            model.next_logits([Row(ROW.ids[:4], 4)])
    assert tiny_models.hooks_on(model) == 0
    assert model.hf.config._attn_implementation == implementation
    torch.testing.assert_close(model.next_logits([ROW])[0], before)


def test_a_held_model_is_linear_in_its_attention(model: Model):
    """Two pushes on the stream before the last block add up in what its attention writes."""
    held = freeze(model, ROW)
    layer = model.n_layers - 1
    place, out = f"resid_post.{layer - 1}", f"attn_out_post.{layer}"
    draw = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, model.d_model, generator=draw) * 3

    def pushed(*vectors: torch.Tensor) -> torch.Tensor:
        with (
            frozen(model, held),
            model.edited([Edit(place, "add", vector) for vector in vectors]),
            model.watched(out) as seen,
            torch.no_grad(),
        ):
            model.hf(**model.batch([ROW]))
        return seen[out][0]

    plain = pushed()
    torch.testing.assert_close(
        pushed(one, two) - plain, pushed(one) + pushed(two) - 2 * plain, atol=2e-4, rtol=1e-3
    )
    assert (pushed(one) - plain).abs().max() > 1e-2


def test_maps_are_the_projections(model: Model):
    parts = find_linear_parts(model)
    with (
        recorded_attention(model) as seen,
        model.watched("attn_in.1", "attn_out.1") as passed,
        torch.no_grad(),
    ):
        model.hf(**model.batch([ROW]))
    maps, attended = parts.attention[1], seen[1]
    values = attended.value[0].transpose(0, 1).flatten(1)
    torch.testing.assert_close(maps.value(passed["attn_in.1"][0]), values, atol=1e-5, rtol=1e-5)
    heads, tokens = attended.pattern.shape[1:3]
    shared = attended.value[0].repeat_interleave(heads // attended.value.shape[1], 0)
    mixed = (attended.pattern[0] @ shared).transpose(0, 1).reshape(tokens, -1)
    torch.testing.assert_close(maps.output(mixed), passed["attn_out.1"][0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2", "gpt_neox", "gemma3_text"])
def test_mlp_maps_are_the_projections(name: str):
    model = tiny_models.build(next(one for one in tiny_models.FAMILIES if one.name == name))
    names = ["mlp_in.1", "mlp_pre.1", "mlp_act.1", "mlp_out.1"]
    maps = mlp_maps(model)[1]
    held = freeze(model, ROW, names + (["mlp_pre_linear.1"] if maps.linear else []))
    x, pre, act, out = (held.activations[one] for one in names)
    torch.testing.assert_close(maps.pre(x), pre, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps.down(act), out, atol=1e-5, rtol=1e-5)
    assert (maps.linear is None) == name.startswith("gpt")
    if maps.linear is not None:
        torch.testing.assert_close(maps.linear(x), held.activations["mlp_pre_linear.1"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [16, 17])
@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norms_are_taken_apart(kind: str, width: int):
    torch.manual_seed(0)
    norm = torch.nn.LayerNorm(width) if kind == "layer" else torch.nn.RMSNorm(width)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        x = torch.randn(5, width)
        found = linear_norm(norm, width)
        assert found.centred == (kind == "layer")
        torch.testing.assert_close(found.weight, norm.weight.detach(), atol=1e-5, rtol=1e-5)
        scale = found.scale(x, norm(x))
        torch.testing.assert_close(
            found.linear(x) * scale[:, None] + found.bias, norm(x), atol=1e-5, rtol=1e-5
        )
        y = torch.randn(5, width)
        torch.testing.assert_close((found.transposed(y) * x).sum(1), (y * found.linear(x)).sum(1))


def test_what_cannot_be_observed_is_refused_and_nothing_stays():
    bloom = tiny_models.build(next(one for one in tiny_models.FAMILIES if one.name == "bloom"))
    with pytest.raises(ModelError, match="attention interface"), recorded_attention(bloom):
        pass
    llama = tiny_models.build(tiny_models.FAMILIES[0])
    with recorded_attention(llama):
        with (
            pytest.raises(ModelError, match="observed already"),
            attending(llama, lambda call: call.computed()),
        ):
            pass
        llama.next_logits([ROW])
    with pytest.raises(RuntimeError, match="inside"), recorded_attention(llama):
        raise RuntimeError("inside")
    assert llama.hf.config._attn_implementation != "mindscope_observed"
