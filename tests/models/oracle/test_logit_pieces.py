"""Losses from what the head reads, a few positions at a time: equal to those of all logits at once."""

import pytest
import tiny_models
import torch
from torch.nn.functional import kl_div, log_softmax

from mindscope.dictionaries.evaluation.recovered import ARMS, sum_losses
from mindscope.errors import ModelError
from mindscope.models import Edit, Model, Row, make_logits, read_before_head, split_positions
from mindscope.models.linear import logit_pieces

ROWS = [Row((3, 4, 5, 6, 7, 8), 2), Row((9, 10, 11), 1), Row((12, 13, 14, 15), 3)]


def build(name: str) -> Model:
    return tiny_models.build(next(family for family in tiny_models.SOUND if family.name == name))


@pytest.mark.parametrize("family", ["llama", "gemma2", "cohere2", "granite", "gpt2"])
def test_what_the_head_reads_makes_the_models_own_logits(family):
    """Soft caps and factors that a family puts behind its head are in them, and edits hold in the pass."""
    model = build(family)
    edits = [Edit("resid_post.0", "add", torch.linspace(-1, 1, model.d_model))]
    with torch.inference_mode(), model.edited(edits):
        expected = model.hf(**model.batch(ROWS), use_cache=False).logits
        states = read_before_head(model, ROWS)
        plain = make_logits(model, states)
    assert states.shape == (3, 6, model.d_model)
    assert torch.allclose(plain, expected, atol=1e-5)
    with torch.inference_mode():
        unedited = make_logits(model, read_before_head(model, ROWS))
    assert not torch.allclose(unedited, expected, atol=1e-3)


def test_losses_in_pieces_are_those_of_dense_logits_in_float64(monkeypatch):
    model = build("gemma2")
    draw = torch.Generator().manual_seed(0)
    states = {arm: torch.randn(23, model.d_model, generator=draw) for arm in ARMS}
    targets = torch.randint(model.vocab_size, (23,), generator=draw)
    monkeypatch.setattr(logit_pieces, "LOGITS_AT_ONCE", 5 * model.vocab_size)
    assert [part.stop - part.start for part in split_positions(model, 23)] == [5, 5, 5, 5, 3]
    sums = sum_losses(model, states, targets)
    with torch.inference_mode():
        dense = {arm: log_softmax(make_logits(model, states[arm]).double(), -1) for arm in ARMS}
    assert sums["predictions"] == 23
    for arm in ARMS:
        assert sums[f"ce_{arm}"] == pytest.approx(
            float(-dense[arm].gather(1, targets[:, None]).sum()), rel=1e-5
        )
        if arm != "clean":
            divergence = kl_div(dense[arm], dense["clean"], log_target=True, reduction="sum")
            assert sums[f"kl_{arm}"] == pytest.approx(float(divergence), rel=1e-5)


def test_a_head_that_is_not_understood_is_refused(monkeypatch):
    model = build("llama")
    monkeypatch.setattr(type(model.engine), "logit_multiplier", property(lambda _: 7.0))
    with pytest.raises(ModelError, match="makes its logits in a way"):
        read_before_head(model, ROWS)
