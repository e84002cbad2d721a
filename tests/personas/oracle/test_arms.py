"""What an arm adds, and where: random vectors of a direction's norm, and the tokens that are steered."""

import persona_kit
import pytest
import torch

from mindscope.features import random_directions
from mindscope.models import Model
from mindscope.personas.steering.arms import random_arms, steering_edits
from mindscope.personas.vectors import PersonaVectors


def test_random_vectors_at_one_place_differ(vectors: PersonaVectors) -> None:
    edits = [vectors.direction(2).edit(1.0), vectors.direction(2).edit(2.0)]
    (arm,) = random_arms(edits, 1, seed=0)
    assert [edit.value for edit in arm.edits] == [1.0, 2.0]
    assert not torch.allclose(arm.edits[0].vector, arm.edits[1].vector)


def test_random_vectors_have_the_norm_and_fixed_seeds(vectors: PersonaVectors) -> None:
    direction = vectors.direction(2)
    arms = random_arms([direction.edit(1.5, "all")], 4, seed=0)
    drawn = torch.stack([arm.edits[0].vector for arm in arms])
    assert torch.allclose(drawn.norm(dim=1), direction.vector.norm().expand(4), rtol=1e-5)
    assert {(edit.address, edit.value, edit.where) for arm in arms for edit in arm.edits} == {
        ("resid_post.2", 1.5, "all")
    }
    cosines = torch.nn.functional.cosine_similarity(drawn, direction.vector[None])
    assert cosines.abs().max() < 0.6
    again = random_arms([direction.edit(1.5, "all")], 4, seed=0)
    assert all(torch.equal(a.edits[0].vector, b.edits[0].vector) for a, b in zip(arms, again, strict=True))
    assert len({tuple(vector.tolist()) for vector in drawn}) == 4


@pytest.mark.parametrize(
    ("positions", "touched"),
    [
        ("response", [4, 5, 6]),
        ("answer", [5, 6]),
        ("last_prompt", [4]),
        ("prompt", [0, 1, 2, 3, 4]),
        ("all", None),
    ],
)
def test_positions_are_those_that_are_steered(
    tiny: Model, vectors: PersonaVectors, positions, touched
) -> None:
    row = tiny.text("hello", "ab")
    assert row.prompt_length == 5
    read = {"h": persona_kit.everything("resid_post.2")}
    edits = steering_edits(vectors.direction(2), 2.0, positions)
    plain, edited = tiny.read([row], read)["h"].values[0], tiny.read([row], read, edits=edits)["h"].values[0]
    change = edited - plain
    expected = torch.zeros(7, 32)
    expected[list(range(7)) if touched is None else touched] = 2 * vectors.answer_mean[2]
    assert torch.allclose(change, expected, atol=1e-4)


def test_random_directions_have_the_norm_and_the_address(vectors):
    direction = vectors.direction(1)
    several = random_directions(direction, 3, seed=4)
    assert {random.address for random in several} == {direction.address}
    for random, same in zip(several, random_directions(direction, 3, seed=4), strict=True):
        torch.testing.assert_close(random.vector.norm(), direction.vector.norm())
        assert torch.equal(random.vector, same.vector)
    cosines = torch.stack([random.vector / random.vector.norm() for random in several])
    assert (cosines @ cosines.T - torch.eye(3)).abs().max() < 0.9
