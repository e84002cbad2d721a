"""Vectors, addresses and positions that do not fit get one line at the door."""

import subprocess
import sys

import pytest
import torch

from mindscope.errors import ModelError
from mindscope.models import Edit, Last, Mean, Project, Raw, Read, Row

GOOD = torch.ones(32)


BAD = {
    "Edit('resid_post.1', 'add', torch.zeros(4))": "resid_post.1 is zero",
    "Edit('resid_post.1', 'add', torch.tensor([1.0, float('nan')]))": "resid_post.1 holds NaN or infinity",
    "Edit('resid_post.1', 'add', torch.tensor([1.0, float('inf')]))": "resid_post.1 holds NaN or infinity",
    "Edit('resid_post.1', 'add', torch.ones(1, 4))": "one-dimensional float tensor, got (1, 4)",
    "Edit('resid_post.1', 'add', torch.ones(4).long())": "one-dimensional float tensor",
    "Edit('resid_post.1', 'add', [1.0])": "one-dimensional float tensor, got list",
    "Edit('resid_post.1', 'multiply', torch.ones(4))": "unknown edit 'multiply'; use one of add, ablate",
    "Edit('resid_post.1', 'add', torch.ones(4), float('nan'))": "must be a finite number, got nan",
    "Edit('resid_post.1', 'add', torch.ones(4), 1.0, 'everywhere')": "unknown positions 'everywhere'; use",
    "Edit('resid_post.1', 'add', torch.ones(4), 1.0, (1, -1))": "count from 0",
    "Mean('answers')": "unknown positions 'answers'",
    "Project(torch.ones(4), 'all')": "must be float [k, width], got shape (4,)",
    "Project(torch.full((1, 4), float('nan')), 'all')": "directions hold NaN or infinity",
    "Sampling(stop='END')": "tuple of non-empty strings",
    "Direction('evil', 'resid_post.1', torch.zeros(4), 'abc')": "the vector of evil is zero",
}


def test_what_means_nothing_is_refused_where_it_is_made():
    """In a process of its own, without the shape checks that only the tests run with."""
    lines = [
        "import torch",
        "from mindscope.errors import ModelError",
        "from mindscope.features import Direction",
        "from mindscope.models import Edit, Mean, Project, Sampling",
        f"for source in {list(BAD)!r}:",
        "    try: eval(source); print('no error')",
        "    except ModelError as error: print(error)",
    ]
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    said = run.stdout.splitlines()
    assert len(said) == len(BAD)
    for line, expected in zip(said, BAD.values(), strict=True):
        assert expected in line


def uses(model, rows, address, vector=GOOD):
    """Every way in which an edit enters."""
    edit = Edit(address, "add", vector)

    def in_block():
        with model.edited([edit]):
            model.read(rows, {"r": Read("resid_post.0", Mean("all"))})

    return [
        lambda: model.read(rows, {"r": Read("resid_post.0", Mean("all"))}, edits=[edit]),
        lambda: model.generate(rows, edits=[edit]),
        lambda: model.next_logits(rows, edits=[edit]),
        in_block,
    ]


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("resid_post.3", "layers 0 to 2"),
        ("resid_post", "not a place in this model"),
        ("resid_past.1", "not a place in this model"),
        ("resid_post.-1", "not a place in this model"),
        ("resid_post:1", "not a place in this model"),
        ("", "not a place in this model"),
        ("path.model.layers.9.mlp", "not a place in this model"),
        ("attn_probs.1", "not a place in this model"),
        ("router_logits.1", "not a place in this model"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(llama, rows, address, match):
    for use in [*uses(llama, rows, address), lambda: llama.read(rows, {"r": Read(address, Raw("all"))})]:
        with pytest.raises(ModelError, match=match) as caught:
            use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("address", "width"), [("resid_post.1", 32), ("mlp_act.1", 48), ("value.0", 16)])
def test_vectors_of_another_width_are_refused(llama, rows, address, width):
    for use in uses(llama, rows, address, torch.ones(33)):
        with pytest.raises(
            ModelError, match=f"width 33 cannot be written at {address}, which is {width} wide"
        ):
            use()
    with pytest.raises(ModelError, match=f"width 33 cannot be read at {address}, which is {width} wide"):
        llama.read(rows, {"r": Read(address, Project(torch.ones(2, 33), "all"))})


def test_rows_too_long_or_of_another_tokenizer_are_refused(llama):
    reads = {"r": Read("resid_post.1", Last("all"))}
    with pytest.raises(ModelError, match="row 1 has 65 tokens, the model takes 64"):
        llama.read([Row((1,), 1), Row((1,) * 65, 60)], reads)
    with pytest.raises(ModelError, match="row 0 has a token id outside the vocabulary of 64"):
        llama.read([Row((64,), 1)], reads)
    with pytest.raises(ModelError, match="outside the vocabulary"):
        llama.next_logits([Row((-1,), 1)])


def test_a_place_that_does_not_run_is_no_silent_loss(llama, rows):
    llama.hf.model.layers[1].self_attn.unused = torch.nn.Linear(32, 32)
    address = "path.model.layers.1.self_attn.unused"
    try:
        with pytest.raises(ModelError, match="did not run"):
            llama.read(rows, {"r": Read(address, Mean("all"))})
    finally:
        del llama.hf.model.layers[1].self_attn.unused
