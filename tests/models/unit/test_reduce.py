"""Sinks of a batch: what they take, and how rows join and leave them."""

import numpy as np
import pytest
import torch

from mindscope.models.hooks.reduce import LastCollector, MeanCollector, TokenCollector
from mindscope.models.tokens.batch import BatchLayout

CPU = torch.device("cpu")
POSITIONS = np.array([[-1, 0, 1], [0, 1, 2]])
HIDDEN = torch.arange(12.0).view(2, 3, 2)


def chosen(positions=POSITIONS):
    return BatchLayout(positions, np.zeros(len(positions), np.int64)).chosen("all")


@pytest.mark.parametrize("padding", [float("inf"), float("nan")])
def test_padding_that_is_not_finite_does_not_reach_a_mean(padding):
    sums = MeanCollector(2, 2, 2, CPU)
    hidden = HIDDEN.clone()
    hidden[0, 0] = padding
    sums.take(0, chosen(), hidden)
    sums.take(1, chosen(), 10 * hidden)
    assert sums.of_row(0).tolist() == [[3.0, 4.0], [30.0, 40.0]]
    assert sums.of_rows(0).tolist() == [[3.0, 4.0], [8.0, 9.0]]


def test_rows_keep_what_was_read_of_them_when_others_join_and_leave():
    sinks = [MeanCollector(1, 2, 2, CPU), LastCollector(1, 2, 2, CPU)]
    others = [MeanCollector(1, 2, 2, CPU), LastCollector(1, 2, 2, CPU)]
    expected = []
    for sink, other in zip(sinks, others, strict=True):
        sink.take(0, chosen(), HIDDEN)
        other.take(0, chosen(), -HIDDEN)
        expected.append([sink.of_row(1), other.of_row(0), other.of_row(1)])
        sink.rearrange(np.array([1]), 2)
        assert sink.of_row(1).isnan().all()
        sink.put(np.array([2, 1]), other)
    for sink, (kept, first, second) in zip(sinks, expected, strict=True):
        assert torch.equal(sink.of_row(0), kept)
        assert torch.equal(sink.of_row(2), first)
        assert torch.equal(sink.of_row(1), second)


def test_a_row_that_is_not_in_a_pass_keeps_its_last_token():
    lasts = LastCollector(1, 2, 2, CPU)
    lasts.take(0, chosen(), HIDDEN)
    lasts.take(0, chosen(np.array([[2], [-1]])), torch.full((2, 1, 2), 99.0))
    assert lasts.of_rows(0).tolist() == [[99.0, 99.0], [10.0, 11.0]]


def test_tokens_are_of_members_alone_and_are_drained_once():
    tokens = TokenCollector(2, 2)
    tokens.members = np.array([False, True])
    for _ in range(40):  # more passes than wait for one transfer
        tokens.take(chosen(), HIDDEN)
    counts, drained = tokens.drain()
    assert counts.tolist() == [0, 120]
    assert torch.equal(drained, HIDDEN[1].repeat(40, 1))
    assert tokens.drain() is None
    tokens.take(chosen(), HIDDEN)  # a single pass, which needs no sorting by row
    counts, drained = tokens.drain()
    assert counts.tolist() == [0, 3]
    assert torch.equal(drained, HIDDEN[1])


@pytest.mark.parametrize("n_passes", [1, 3])
@pytest.mark.parametrize("kept", [False, True])
def test_what_is_drained_of_passes_lies_row_by_row(n_passes, kept):
    tokens = TokenCollector(2, 2)
    if kept:  # on the host already
        tokens.take(chosen(), HIDDEN)
        tokens.rearrange(np.array([0, 1]), 0)
    for number in range(n_passes):
        tokens.take(chosen(), 100.0 * (1 + number) + HIDDEN)
    counts, drained = tokens.drain()
    added = [0.0] * kept + [100.0 * (1 + number) for number in range(n_passes)]
    assert counts.tolist() == [2 * len(added), 3 * len(added)]
    by_row = [HIDDEN[0, 1:] + more for more in added] + [HIDDEN[1] + more for more in added]
    assert torch.equal(drained, torch.cat(by_row))


@pytest.mark.parametrize("reads", ["tokens", "projections", "a threshold"])
@pytest.mark.parametrize("values", [[torch.inf], [1.0, torch.nan, 1.0]])
def test_a_row_with_a_token_that_is_not_finite_is_noted_and_no_other(reads, values):
    tokens = {
        "tokens": TokenCollector(2, 2),
        "projections": TokenCollector(2, 1, lambda tokens: tokens @ torch.ones(2, 1), linear=True),
        "a threshold": TokenCollector(2, 1, lambda tokens: (tokens[:, 1:] > 0).float()),
    }[reads]
    for value in values:
        hidden = HIDDEN.clone()
        hidden[1, 0, 1] = value
        tokens.take(chosen(), hidden)
    tokens.drain()
    assert tokens.broken.tolist() == [False, True]
