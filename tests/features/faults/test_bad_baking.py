"""Edits that no weights can hold, and checkpoints that are not written."""

import pytest
import tiny_models
import torch
from tiny_models import FAMILIES

from mindscope.errors import DataError, ModelError
from mindscope.features import bake_checkpoint
from mindscope.models import Edit, ablate_everywhere, change_weights
from mindscope.models.baking import checkpoint

VECTOR = torch.randn(32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("where", ["answer", "response", "prompt", "final", (3,)])
def test_what_means_some_tokens_is_refused_with_that_reason(llama, where):
    with pytest.raises(ModelError, match="know no prompt and no answer; steer at 'all'"):
        change_weights(llama, [Edit("resid_post.1", "add", VECTOR, 1.0, where)])


@pytest.mark.parametrize("op", ["cap", "clamp", "replace"])
def test_what_depends_on_the_stream_is_refused(llama, op):
    with pytest.raises(ModelError, match=f"a {op} cannot be baked"):
        change_weights(llama, [Edit("resid_post.1", op, VECTOR, 1.0)])


@pytest.mark.parametrize("address", ["resid_mid.1", "mlp_in.1", "attn_in.0"])
def test_places_that_no_module_writes_to_are_refused(llama, address):
    with pytest.raises(ModelError, match="not one that a module makes to the residual stream"):
        change_weights(llama, [Edit(address, "add", VECTOR)])


def test_an_ablation_at_one_layer_is_refused(llama):
    with pytest.raises(ModelError, match="ablate it everywhere"):
        change_weights(llama, [Edit("resid_post.1", "ablate", VECTOR)])


def test_directions_that_are_not_orthogonal_are_refused(llama):
    edits = [*ablate_everywhere(llama, VECTOR), *ablate_everywhere(llama, VECTOR + torch.ones(32))]
    with pytest.raises(ModelError, match="orthogonal basis"):
        change_weights(llama, edits)


def test_an_addition_that_the_ablation_would_take_off_again_is_refused(llama, rows, tmp_path):
    edits = [Edit("resid_post.1", "add", VECTOR), *ablate_everywhere(llama, VECTOR)]
    with pytest.raises(ModelError, match=r"differ from the steered model's .* first at resid_post.1"):
        bake_checkpoint(llama, edits, tmp_path / "baked", rows)
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_precise_or_empty(llama, rows, tmp_path):
    with pytest.raises(ModelError, match="nothing to bake"):
        change_weights(llama, [])
    with pytest.raises(ModelError, match="unknown precision 'int8'"):
        bake_checkpoint(llama, [Edit("resid_post.1", "add", VECTOR)], tmp_path / "x", rows, precision="int8")
    with pytest.raises(ModelError, match="at least one text"):
        bake_checkpoint(llama, [Edit("resid_post.1", "add", VECTOR)], tmp_path / "x", [])
    model = tiny_models.build(FAMILIES[0])
    model.hf.bfloat16()
    with pytest.raises(ModelError, match="load it with float32"):
        change_weights(model, [Edit("resid_post.1", "add", VECTOR)])


def test_a_checkpoint_that_does_something_else_is_never_left(llama, rows, tmp_path, monkeypatch):
    """Planted: a bias that gets lost on the way to disk."""
    honest = checkpoint._assembled

    def forgetful(model, changes, dtype):
        hf = honest(model, changes, dtype)
        torch.nn.init.zeros_(hf.get_submodule("model.layers.1.mlp.down_proj").bias)
        return hf

    (tmp_path / "baked").mkdir()
    (tmp_path / "baked" / "mine").write_text("kept")
    with pytest.raises(DataError, match="no checkpoint written here"):
        bake_checkpoint(llama, [Edit("resid_post.1", "add", VECTOR)], tmp_path / "baked", rows)
    (tmp_path / "baked" / "mindscope.json").write_text("{}")
    monkeypatch.setattr(checkpoint, "_assembled", forgetful)
    with pytest.raises(ModelError, match=r"up to .* nats, first at resid_post.1"):
        bake_checkpoint(llama, [Edit("resid_post.1", "add", VECTOR)], tmp_path / "baked", rows)
    assert (tmp_path / "baked" / "mine").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 1
