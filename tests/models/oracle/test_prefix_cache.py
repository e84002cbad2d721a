"""Answers to prompts that begin alike are those they have without a cache, under whatever steering."""

import pytest
import torch

from mindscope.models import (
    DecodingBatch,
    Edit,
    GenerationRequest,
    Model,
    PrefixCache,
    Project,
    Read,
    Row,
    Sampling,
)

BEGINNING = tuple(range(2, 26))
GREEDY = Sampling(temperature=0, max_new_tokens=8)


def row(*ending: int) -> Row:
    ids = (*BEGINNING, *ending)
    return Row(ids, len(ids))


def answers(model: Model, requests: list[GenerationRequest], prefixes: PrefixCache | None):
    """One after the other, so that each finds what those before it have left."""
    handles = []
    for request in requests:
        batch = DecodingBatch(model, slots=2, eos_ids=frozenset(), prefixes=prefixes, prefill_tokens=7)
        handles.append(batch.admit(request))
        while batch.busy:
            batch.step()
            batch.retire()
    return handles


def vector(seed: int) -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(seed))


EDITS = {
    "none": (),
    "late": (Edit("resid_post.0", "add", vector(0), 4.0, "response"),),
    "all": (Edit("resid_post.0", "add", vector(0), 4.0, "all"),),
    "more": (Edit("resid_post.0", "add", vector(0), 8.0, "all"),),
    "other": (Edit("resid_post.0", "add", vector(1), 4.0, "all"),),
    "place": (Edit("resid_post.1", "add", vector(0), 4.0, "all"),),
    "one": (Edit("resid_post.0", "add", vector(0), 4.0, (3,)),),
}


def test_the_key_holds_the_steering(llama: Model):
    requests = [
        GenerationRequest(row(30 + i), GREEDY, index=i, edits=edits) for i, edits in enumerate(EDITS.values())
    ]
    plain = [handle.result().row.answer for handle in answers(llama, requests, None)]
    prefixes = PrefixCache(4096)
    first = answers(llama, requests, prefixes)
    again = answers(llama, requests, prefixes)
    assert [handle.result().row.answer for handle in first] == plain
    assert [handle.result().row.answer for handle in again] == plain
    # What steers from the last prompt token on shares the beginning with what does not steer; no other does.
    assert [handle.n_reused for handle in first] == [0, len(BEGINNING), 0, 0, 0, 0, 0]
    assert all(handle.n_reused == len(BEGINNING) for handle in again)


def test_rows_of_one_prompt_join_together(llama: Model):
    prefixes = PrefixCache(4096)
    answers(llama, [GenerationRequest(row(30), GREEDY)], prefixes)
    sampling = Sampling(max_new_tokens=8)
    requests = [GenerationRequest(row(31, 32), sampling, index=i, seed=i) for i in range(3)]
    batch = DecodingBatch(llama, slots=4, eos_ids=frozenset(), prefixes=prefixes)
    handles = [batch.admit(request) for request in requests]
    while batch.busy:
        batch.step()
        batch.retire()
    assert [handle.n_reused for handle in handles] == [24, 24, 24]
    plain = [handle.result().row.answer for handle in answers(llama, requests, None)]
    assert [handle.result().row.answer for handle in handles] == plain


def test_what_reads_the_prompt_passes_it(llama: Model):
    prefixes = PrefixCache(4096)
    reads = {"all": Read("resid_post.1", Project(vector(2)[None], "all"))}
    requests = [GenerationRequest(row(30 + i), GREEDY, reads=reads) for i in range(2)]
    _, second = answers(llama, requests, prefixes)
    assert second.n_reused == 0
    assert len(second.result().reads["all"]) == len(BEGINNING) + 1 + 8


def test_it_stays_within_its_room_and_drops_the_longest_unused(llama: Model):
    prefixes = PrefixCache(60)
    rows = [Row(tuple(range(i, i + 25)), 25) for i in (2, 20, 30)]
    answers(llama, [GenerationRequest(rows[i], GREEDY) for i in (0, 1, 0, 2)], prefixes)
    assert prefixes.n_tokens == 48
    kept = [prefixes.find(llama, GenerationRequest(one, GREEDY)) is not None for one in rows]
    assert kept == [True, False, True]
    prefixes.clear()
    assert prefixes.n_tokens == 0


@pytest.mark.parametrize("length", [8, 9])
def test_a_short_beginning_is_not_kept(llama: Model, length: int):
    prefixes = PrefixCache(60)
    answers(llama, [GenerationRequest(Row(tuple(range(2, 2 + length)), length), GREEDY)], prefixes)
    assert prefixes.n_tokens == (8 if length == 9 else 0)
