"""Every standard point that a family serves, against interp-engine's own capture of one row at a time."""

import pytest
import torch
from interp_engine import capture
from interp_engine.address import Address
from tiny_models import FAMILIES, build

from mindscope.errors import ModelError
from mindscope.models import Edit, Mean, Raw, Read, Sampling

NO_TOKENS = {"attn_probs", "attn_scores"}  # a matrix a head, not a vector a token


def served(model) -> list[str]:
    addresses = []
    for spec in model.engine.points():
        layers = [None] if spec.scope.value == "global" else [0, model.n_layers - 1]
        addresses += [
            str(Address(spec.name, layer))
            for layer in layers
            if spec.name not in NO_TOKENS and model.engine.serves(Address(spec.name, layer))
        ]
    return addresses


def test_every_point_reads_as_interp_engine_captures_it(model, rows):
    addresses = served(model)
    assert len(addresses) > 15
    got = model.read(rows, {address: Read(address, Raw("all")) for address in addresses})
    for i, row in enumerate(rows):
        cache = capture(model.engine, torch.tensor([row.ids]), addresses)
        for address in addresses:
            theirs = cache.tensors[Address(*_parts(address))][0].flatten(1).float()
            ours = got[address].values[i]
            assert ours.shape == theirs.shape, address
            scale = max(1.0, float(theirs.abs().max()))
            assert torch.allclose(ours, theirs, rtol=0, atol=2e-6 * scale), address


def _parts(address: str) -> tuple:
    name, _, layer = address.partition(".")
    return (name, int(layer)) if layer else (name,)


def test_points_that_can_be_read_while_generating_equal_a_second_pass(model, rows):
    addresses = served(model)
    reads = {address: Read(address, Mean("all")) for address in addresses}
    generations = model.generate(rows, Sampling(max_new_tokens=4), reads=reads)
    again = model.read([g.row for g in generations], reads)
    for i, generation in enumerate(generations):
        for address in addresses:
            theirs = again[address].values[i]
            scale = max(1.0, float(theirs.abs().max()))
            assert torch.allclose(generation.reads[address], theirs, rtol=0, atol=1e-5 * scale), address


@pytest.mark.parametrize(
    "name",
    [
        "resid_pre",
        "attn_in",
        "attn_out",
        "resid_mid",
        "mlp_in",
        "mlp_out",
        "mlp_act",
        "z",
        "q_norm_out",
        "k_norm_in",
    ],
)
def test_points_are_written_as_they_are_read(model, rows, name):
    """A vector added is read back at the same place, and is felt behind it."""
    address = f"{name}.1"
    if not model.engine.serves(address):
        pytest.skip(f"this family has no {name}")
    reads = {"here": Read(address, Raw("all")), "end": Read("final_norm", Raw("all"))}
    before = model.read(rows, reads)
    width = before["here"].values[0].shape[1]
    vector = torch.randn(width, generator=torch.Generator().manual_seed(1))
    after = model.read(
        rows, reads, edits=[[Edit(address, "add", vector, float(i))] for i in range(len(rows))]
    )
    for i in range(len(rows)):
        change = after["here"].values[i] - before["here"].values[i]
        assert torch.allclose(change, (i * vector).expand_as(change), atol=1e-5)
        assert torch.allclose(after["end"].values[i], before["end"].values[i], atol=1e-5) == (i == 0)


def test_what_is_written_between_attention_and_mlp_stays_in_the_stream(model, rows):
    """The norm before the MLP takes a copy of the stream: what is written to it is the stream's, too."""
    if not model.engine.serves("resid_mid.1"):
        pytest.skip("this family has no resid_mid")
    parts = ("resid_mid.1", "mlp_out_post.1", "resid_post.1")
    reads = {address: Read(address, Raw("all")) for address in parts if model.engine.serves(address)}
    if len(reads) < len(parts):
        pytest.skip("this family does not tell what its MLP adds")
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    edits = [[Edit("resid_mid.1", "add", vector, float(i))] for i in range(len(rows))]
    within = {}
    for i in range(len(rows)):
        with model.edited(edits[i]):
            within[i] = model.read([rows[i]], reads)
    for found in (model.read(rows, reads), model.read(rows, reads, edits=edits), *within.values()):
        for i in range(len(found["resid_mid.1"].values)):
            middle, added, end = (found[address].values[i] for address in parts)
            scale = max(1.0, float(end.abs().max()))
            assert torch.allclose(end, middle + added, rtol=0, atol=1e-5 * scale)


def test_what_is_reported_and_not_computed_with_cannot_be_written(rows):
    moe = build(next(family for family in FAMILIES if family.name == "qwen3_moe"))
    with pytest.raises(ModelError, match="can be read but not written"):
        moe.read(
            rows,
            {"r": Read("final_norm", Mean("all"))},
            edits=[Edit("expert_weights.1", "add", torch.ones(2))],
        )
