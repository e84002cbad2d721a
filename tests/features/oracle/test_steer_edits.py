"""Edits of steering expressions against plain hooks that owe nothing to the code under test."""

import pytest
import torch

from mindscope.errors import DataError
from mindscope.features import Direction, SteerExpression, compile_steering
from mindscope.models import Raw, Read

ANSWER = "It is so, and it was so."


@pytest.fixture
def vectors(tiny) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {name: torch.randn(tiny.n_layers, tiny.d_model, generator=draw) for name in ("kind", "evil")}


@pytest.fixture
def find(tiny, vectors):
    def find_directions(name, layers):
        if name not in vectors:
            raise DataError(f"there is no vector {name!r}")
        chosen = range(tiny.n_layers) if layers == "all" else layers or (1,)
        return [
            Direction(name, f"resid_post.{layer}", vectors[name][layer], tiny.fingerprint) for layer in chosen
        ]

    return find_directions


def hooked(model, row, changes):
    """The last block's output under plain hooks; `changes` are functions of `[tokens, width]` by layer."""
    handles = []
    for layer, change in changes.items():

        def write(_module, _inputs, output, change=change):
            hidden = output[0] if isinstance(output, tuple) else output
            new = change(hidden[0].clone())[None]
            return (new, *output[1:]) if isinstance(output, tuple) else new

        handles.append(model.hf.model.layers[layer].register_forward_hook(write))
    taken = {}
    last = model.hf.model.layers[-1].register_forward_hook(
        lambda _module, _inputs, output: taken.update(h=output[0] if isinstance(output, tuple) else output)
    )
    try:
        with torch.no_grad():
            model.hf(torch.tensor([row.ids]))
    finally:
        for handle in [*handles, last]:
            handle.remove()
    return taken["h"][0]


def steered(model, row, edits):
    address = f"resid_post.{model.n_layers - 1}"
    return model.read([row], {"h": Read(address, Raw("all"))}, edits=list(edits))["h"].values[0]


def test_terms_at_several_layers_equal_plain_hooks(tiny, vectors, find):
    row = tiny.chat([{"role": "user", "content": "Is it so?"}], answer=ANSWER)
    start = row.prompt_length - 1  # `response`: what an answer is predicted from
    expression = SteerExpression.parse("0.5 kind@0-1 - 1.2 evil@1-2")
    edits = compile_steering(expression, find)
    assert [edit.address[-1] for edit in edits] == ["0", "1", "1", "2"]

    def push(kind, evil):
        def change(hidden):
            hidden[start:] += kind - evil
            return hidden

        return change

    kind, evil = vectors["kind"], vectors["evil"]
    changes = {0: push(0.5 * kind[0], 0), 1: push(0.5 * kind[1], 1.2 * evil[1]), 2: push(0, 1.2 * evil[2])}
    torch.testing.assert_close(steered(tiny, row, edits), hooked(tiny, row, changes), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(steered(tiny, row, edits), hooked(tiny, row, {}), atol=0.1)


def test_operations_and_positions_equal_plain_hooks(tiny, vectors, find):
    row = tiny.chat([{"role": "user", "content": "Is it so?"}], answer=ANSWER)
    bound = row.prompt_length
    text = "ablate evil@0[prompt] + cap 0.3 kind@1[from 4] + clamp -2 evil@2[all]"
    text += " + replace 2 kind@0[last_prompt]"
    edits = compile_steering(SteerExpression.parse(text), find)
    units = {name: matrix / matrix.norm(dim=1, keepdim=True) for name, matrix in vectors.items()}

    def first(hidden):
        unit = units["evil"][0]
        hidden[:bound] -= (hidden[:bound] @ unit)[:, None] * unit
        hidden[bound - 1] = 2 * vectors["kind"][0]
        return hidden

    def second(hidden):
        unit = units["kind"][1]
        along = hidden[bound + 4 :] @ unit
        hidden[bound + 4 :] += (along.clamp(max=0.3) - along)[:, None] * unit
        return hidden

    def third(hidden):
        unit = units["evil"][2]
        hidden += (-2 - hidden @ unit)[:, None] * unit
        return hidden

    changes = {0: first, 1: second, 2: third}
    torch.testing.assert_close(steered(tiny, row, edits), hooked(tiny, row, changes), rtol=1e-4, atol=1e-4)
    without = {0: first, 1: lambda hidden: hidden, 2: third}
    assert not torch.allclose(steered(tiny, row, edits), hooked(tiny, row, without), atol=0.01)


def test_increments_sum_to_the_vector_of_the_last_layer(tiny, vectors, find):
    edits = compile_steering(SteerExpression.parse("increment 2 evil"), find)
    assert [edit.address for edit in edits] == [f"resid_post.{layer}" for layer in range(tiny.n_layers)]
    total = sum(edit.value * edit.vector for edit in edits)
    torch.testing.assert_close(total, 2 * vectors["evil"][-1])
    torch.testing.assert_close(edits[1].vector, vectors["evil"][1] - vectors["evil"][0])


def test_what_adds_nothing_is_left_out(find):
    assert compile_steering(SteerExpression.parse("0 evil + increment 0 kind"), find) == ()


def test_an_unknown_name_is_pointed_at(find):
    with pytest.raises(DataError, match=r"column 8, before 'evl@1': there is no vector 'evl'"):
        compile_steering(SteerExpression.parse("kind + evl@1"), find)
