"""Latents of SAEs of the residual stream: exchanged as plain hooks on blocks would, and refused where they do
not fit."""

from functools import partial

import circuit_kit
import pytest
import tiny_models
import torch
from torch import Tensor

from mindscope.circuits import Intervention, StreamFeatures, intervening
from mindscope.dictionaries import Coder, Dictionary, Site
from mindscope.errors import DataError
from mindscope.models import Model, Sampling

NAMED = {family.name: family for family in tiny_models.FAMILIES}
ROW = circuit_kit.ROW
CHANGES = [
    Intervention(0, 3, 5, "set", 4.0),
    Intervention(0, 3, 7, "scale", -1.5),
    Intervention(1, 3, 5, "set", 2.0),
    Intervention(1, slice(6, None), 11, "add", 1.25),
]
"""Two of one block at one token, another block that the first has reached, and one that goes on."""


def _saes(model: Model, *, centred: bool = False) -> tuple[Dictionary, ...]:
    draw = torch.Generator().manual_seed(3)
    d, made = model.d_model, []
    for block in range(model.n_layers):
        coder = Coder(*(torch.randn(*shape, generator=draw) * 0.2 for shape in ((40, d), (40,), (40, d))))
        site = Site(f"resid_post.{block}", d)
        bias = torch.randn(d, generator=draw)
        made.append(
            Dictionary.single(
                coder, bias, reads=[site], writes=[site], activation="relu", apply_b_dec_to_input=centred
            ).bind(model)
        )
    return tuple(made)


def _by_hand(model: Model, saes: tuple[Dictionary, ...], ids: tuple[int, ...], centred: bool) -> Tensor:
    """Logits of the last token, changed by hooks on blocks, without a cache."""

    def hook(block: int, _module: object, _args: tuple, output: Tensor | tuple) -> Tensor | tuple:
        stream = (output if isinstance(output, Tensor) else output[0]).clone()
        before, coder = stream.clone(), saes[block].coder
        for change in CHANGES:
            everywhere = range(len(ids))
            here = everywhere[change.position] if isinstance(change.position, slice) else [change.position]
            for at in here if change.layer == block else ():
                x = before[0, at] - (saes[block].b_dec if centred else 0)
                a = torch.relu(coder.W_enc[change.latent] @ x + coder.b_enc[change.latent])
                new = {"set": change.value, "scale": change.value * a, "add": a + change.value}[change.op]
                stream[0, at] += (new - a) * coder.W_dec[change.latent]
        return stream if isinstance(output, Tensor) else (stream, *output[1:])

    modules = list(model.hf.get_submodule("model.layers"))
    handles = [module.register_forward_hook(partial(hook, number)) for number, module in enumerate(modules)]
    try:
        with torch.no_grad():
            return model.hf(torch.tensor([ids]), use_cache=False).logits[0, -1]
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("family", ["llama", "olmo2"])
def test_as_plain_hooks_on_blocks(family: str, centred: bool):
    model = tiny_models.build(NAMED[family])
    saes = _saes(model, centred=centred)
    source, ids = StreamFeatures.of(saes[::-1]), list(ROW.ids)  # files come in any order
    with intervening(model, source, [ROW], CHANGES):
        (logits,) = model.next_logits([ROW])
        (made,) = model.generate([ROW], Sampling(temperature=0.0, max_new_tokens=5))
    torch.testing.assert_close(logits, _by_hand(model, saes, ROW.ids, centred), atol=1e-5, rtol=1e-4)
    for token in made.row.ids[len(ROW) :]:
        assert int(_by_hand(model, saes, tuple(ids), centred).argmax()) == token
        ids.append(token)


def test_what_does_not_fit_is_refused(llama: Model):
    saes = _saes(llama)
    with pytest.raises(DataError, match=r"resid_post\.0 is needed for block 0.*resid_post\.2") as error:
        StreamFeatures(saes[::-1])
    circuit_kit.require_line(error, "one for each block")
    with pytest.raises(DataError, match="SAEs of 1 blocks"):
        StreamFeatures(saes[:1]).access(llama)
    transcoder = circuit_kit.dictionary(llama, layers=1)
    with pytest.raises(DataError, match=r"reads mlp_in\.0: an SAE of resid_post\.BLOCK is needed"):
        StreamFeatures.of([transcoder, *saes[1:]])
    normalised = Dictionary.single(
        saes[0].coder,
        saes[0].b_dec,
        reads=saes[0].reads,
        writes=saes[0].writes,
        activation="relu",
        normalisation="layer_norm",
    )
    with pytest.raises(DataError, match="normalises every token"):
        StreamFeatures((normalised, *saes[1:]))
    source = StreamFeatures(saes)
    with (
        pytest.raises(DataError, match="cannot be held constrained"),
        intervening(llama, source, [ROW], CHANGES, mode="constrained"),
    ):
        pass


def test_another_models_latents_are_not_taken_unless_bound_anew(llama: Model):
    source, other = StreamFeatures(_saes(llama)), tiny_models.build(NAMED["olmo2"])
    with pytest.raises(DataError):
        source.access(other)
    assert source.bound_anew(other).access(other).sizes == source.access(llama).sizes
