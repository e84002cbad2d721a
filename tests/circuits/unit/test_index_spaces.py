"""Points of the residual stream are numbered in the order of a forward pass, and have addresses."""

import pytest
import torch

from mindscope.circuits.index_spaces import StreamPoint, mlp_input_numbers

LAYERS = 3


def test_numbers_follow_the_forward_pass_and_lead_back():
    passed = [StreamPoint(layer, after) for layer in range(LAYERS) for after in (False, True)]
    passed.append(StreamPoint(LAYERS))
    assert [point.number for point in passed] == list(range(2 * LAYERS + 1))
    assert [StreamPoint.from_number(point.number) for point in passed] == passed


@pytest.mark.parametrize(
    ("point", "address"),
    [
        (StreamPoint(0), "resid_pre.0"),
        (StreamPoint(1, after_attention=True), "resid_mid.1"),
        (StreamPoint(2), "resid_pre.2"),
        (StreamPoint(LAYERS), "resid_post.2"),
    ],
)
def test_a_point_has_the_address_of_the_stream_there(point: StreamPoint, address: str):
    assert point.address(LAYERS) == address


@pytest.mark.parametrize("parallel", [False, True])
def test_an_mlp_reads_behind_attention_unless_it_is_beside_it(parallel: bool):
    points = [StreamPoint.mlp_input(layer, parallel=parallel) for layer in range(LAYERS)]
    assert all(point.after_attention is not parallel for point in points)
    numbers = mlp_input_numbers(torch.arange(LAYERS), parallel=parallel)
    assert numbers.tolist() == [point.number for point in points]
