"""Random directions: the norm and the place of another, the same for a seed, even over the sphere."""

import pytest
import torch

from mindscope.features import Direction, random_directions


def test_they_have_the_norm_and_the_place_and_are_the_same_again() -> None:
    like = Direction("loud", "resid_post.3", torch.arange(64.0), "weights")
    drawn = random_directions(like, 50)
    assert {item.address for item in drawn} == {"resid_post.3"}
    norms = torch.stack([item.vector.norm() for item in drawn])
    assert norms.tolist() == pytest.approx([like.vector.norm().item()] * 50, rel=1e-5)
    again = random_directions(like, 50)
    assert all(a.vector.equal(b.vector) for a, b in zip(drawn, again, strict=True))
    assert not random_directions(like, 1, seed=1)[0].vector.equal(drawn[0].vector)
    units = torch.stack([item.unit for item in drawn])
    cosines = units @ units.T - torch.eye(50)
    assert cosines.abs().max() < 0.6  # 64 wide: a standard deviation of 1/8
    assert abs(cosines.mean()) < 0.02
