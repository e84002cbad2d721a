"""Layers as published files count them: index l + 1 is the output of block l."""

import pytest

from mindscope.errors import DataError
from mindscope.jobs.screen import ScreenSpec
from mindscope.jobs.shift import ShiftSpec
from mindscope.jobs.specs import block_of, blocks_of


def test_index_twenty_is_the_output_of_block_nineteen():
    assert block_of(20, published_index=True) == 19
    assert block_of(20, published_index=False) == 20
    assert block_of(None, published_index=True) is None
    assert blocks_of((1, 20), published_index=True) == (0, 19)
    assert blocks_of(None, published_index=True) is None
    with pytest.raises(DataError, match="index 0 of a published file is the embeddings"):
        block_of(0, published_index=True)


def test_commands_read_layers_that_way():
    screen = ScreenSpec(
        model="organism", data="d.jsonl", vectors=("v",), layers=("evil=20",), published_index=True
    )
    assert screen.choose_layers({"kind": 3}) == {"evil": 19, "kind": 3}
    shift = ShiftSpec(base="b", tuned=("t",), vectors=("v",), layers=(2, 4), published_index=True)
    assert blocks_of(shift.layers, shift.published_index) == (1, 3)
