import dataclasses

import pytest
import torch

from mindscope.errors import ModelError
from mindscope.features import Direction

VECTOR = torch.tensor([3.0, 0.0, 4.0])


def test_a_direction_is_read_in_units_and_written_with_its_norm():
    direction = Direction("evil", "resid_post.2", VECTOR, "abc")
    assert torch.allclose(direction.unit, torch.tensor([0.6, 0.0, 0.8]))
    activations = torch.tensor([[1.0, 9.0, 0.0], [0.0, 0.0, 5.0]])
    expected = (activations.double() @ VECTOR.double()) / VECTOR.double().norm()
    assert torch.allclose(direction.project(activations).double(), expected)
    assert direction.project(activations[0].bfloat16()).dtype == torch.float32
    edit = direction.edit(1.5)
    assert (edit.address, edit.op, edit.value, edit.where) == ("resid_post.2", "add", 1.5, "answer")
    assert torch.equal(edit.vector, VECTOR)
    assert direction.edit(-1, "all").where == "all"


def test_a_direction_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Direction("evil", "resid_post.2", VECTOR, "abc").name = "good"


@pytest.mark.parametrize(
    ("vector", "match"),
    [
        (torch.zeros(3), "evil is zero"),
        (torch.tensor([1.0, float("nan")]), "NaN"),
        (torch.tensor([float("inf")]), "NaN"),
    ],
)
def test_what_is_no_direction_is_refused(vector, match):
    with pytest.raises(ModelError, match=match):
        Direction("evil", "resid_post.2", vector, "abc")
