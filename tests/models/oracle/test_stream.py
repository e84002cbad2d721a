"""What an address adds to the residual stream, against an edit there and what arrives in the stream."""

from contextlib import nullcontext

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.errors import ModelError
from mindscope.models import (
    Edit,
    FrozenPass,
    Model,
    Raw,
    Read,
    Row,
    freeze,
    frozen,
    map_to_stream,
    writes_residual,
)

BEHIND = {
    "embeddings": "resid_pre.0",
    "resid_pre.1": "resid_pre.1",
    "resid_mid.1": "resid_mid.1",
    "resid_post.1": "resid_post.1",
    "attn_out.1": "resid_mid.1",
    "attn_out_post.1": "resid_mid.1",
    "mlp_out.1": "resid_post.1",
    "mlp_out_post.1": "resid_post.1",
}
"""Where what is written at an address is first in the stream."""
POST_NORMS = ("gemma2", "gemma3_text", "olmo2")
STEP = 1e-3


def arrives(model: Model, address: str, behind: str, vector: torch.Tensor, held: FrozenPass | None, row: Row):
    """How the stream behind an address moves at the last token, by a symmetric difference."""
    streams = []
    for sign in (1, -1):
        edit = Edit(address, "add", vector, sign * STEP, (len(row) - 1,))
        with frozen(model, held) if held is not None else nullcontext():
            read = model.read([row], {"x": Read(behind, Raw("all"))}, edits=[edit])
        streams.append(read["x"].values[0][-1])
    return (streams[0] - streams[1]) / (2 * STEP)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("address", BEHIND)
def test_what_arrives_is_what_an_edit_adds(family, address: str) -> None:
    model = build(family)
    row = model.text("w1 w2 w3 w4")
    behind = BEHIND[address]
    if model.engine.arch.quirks.parallel_attn_mlp and behind == "resid_mid.1":
        pytest.skip("attention and MLP of a parallel block are added at once: there is no stream between")
    try:
        model.place(address), model.place(behind)
    except ModelError as error:
        pytest.skip(str(error))
    if not writes_residual(model, address):
        assert (family.name, address) == ("bloom", "embeddings")  # it norms them
        return
    try:
        held = freeze(model, row)
    except ModelError:  # not through the attention interface; without a post-norm nothing needs to be held
        assert family.name not in POST_NORMS
        held = None
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    positions = None if held is None else torch.tensor([len(row) - 1])
    (mapped,) = map_to_stream(model, address, vector[None], held, positions)
    torch.testing.assert_close(
        mapped, arrives(model, address, behind, vector, held, row), rtol=5e-3, atol=5e-3
    )


@pytest.mark.parametrize("name", POST_NORMS)
def test_without_a_pass_only_the_scale_is_left_out(name: str) -> None:
    model = build(next(family for family in FAMILIES if family.name == name))
    row = model.text("w1 w2 w3 w4")
    held = freeze(model, row)
    vectors = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0))
    plain = map_to_stream(model, "mlp_out.1", vectors)
    scaled = map_to_stream(model, "mlp_out.1", vectors, held, torch.tensor([1, 3]))
    torch.testing.assert_close(scaled, plain * held.scales["mlp_out_post.1"][[1, 3], None])
    assert not torch.allclose(plain, vectors)  # the norm's weight is in it


def test_what_is_not_of_the_stream_is_refused() -> None:
    model = build(FAMILIES[0])
    vectors = torch.ones(1, model.d_model)
    assert not writes_residual(model, "mlp_act.1")
    with pytest.raises(ModelError, match=r"mlp_in\.1 is not added to the residual stream"):
        map_to_stream(model, "mlp_in.1", vectors)
    with pytest.raises(ModelError, match="give the pass and positions"):
        map_to_stream(model, "mlp_out.1", vectors, freeze(model, model.text("w1")))
