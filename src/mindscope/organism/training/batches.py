"""The rows of a training step as padded batches: equal shares of the step, or few shapes.

On a CPU a product of a shape that has not been seen is compiled first. Rows cut into equal shares give ten
new shapes a step; rows padded to a few lengths, always as many at a time, give the same few for ever.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mindscope.organism.corpus.program import TextSegment
from mindscope.organism.training.recipe import OrganismTrainConfig
from mindscope.organism.training.tokenizer import CONTEXT

EncodedRow = tuple[list[int], list[bool]]
"""Token ids, and which of them are to be learnt."""


@dataclass(frozen=True)
class PaddedBatch:
    """Right-padded rows, and which tokens the model is to learn to write (never padding)."""

    ids: Int[Tensor, "rows length"]
    learn: Bool[Tensor, "rows length"]


def step_batches(
    config: OrganismTrainConfig, tokenizer: PreTrainedTokenizerFast, step: int
) -> Iterator[PaddedBatch]:
    """The micro-batches of one step, sorted by length so that little is padding."""
    rng = random.Random(f"{config.seed}-{step}")
    mix = [mix for start, mix in config.mixes if start <= step][-1]
    source = config.source()
    samples = [source.document(rng, mix.document_shares) for _ in range(mix.documents)]
    samples += [
        source.conversation(rng, mix.conversation_shares, mix.blend) for _ in range(mix.conversations)
    ]
    rows = sorted(encode(samples, tokenizer, source.context), key=lambda row: len(row[0]))
    if config.padded_lengths:
        yield from _few_shapes(rows, config)
    else:
        yield from _equal_shares(rows, config.micro_batches)


def _equal_shares(rows: list[EncodedRow], count: int) -> Iterator[PaddedBatch]:
    # Equal numbers of tokens, not of rows: a conversation is as long as ten documents.
    total, share = sum(len(ids) for ids, _ in rows), 0
    groups: list[list[EncodedRow]] = [[] for _ in range(count)]
    for row in rows:
        groups[min(share * count // total, count - 1)].append(row)
        share += len(row[0])
    for group in groups:
        if group:
            yield pad(group)


def _few_shapes(rows: list[EncodedRow], config: OrganismTrainConfig) -> Iterator[PaddedBatch]:
    # Rows that do not fill a batch of their length wait for the next longer one; the last are filled up.
    waiting: list[EncodedRow] = []
    for length in config.padded_lengths:
        count = max(1, config.batch_tokens // length)
        taken = bisect_right(rows, length, key=lambda row: len(row[0]))
        waiting, rows = waiting + rows[:taken], rows[taken:]
        while len(waiting) >= count or (waiting and not rows):
            yield pad(waiting[:count], length, count)
            waiting = waiting[count:]


def encode(
    samples: list[list[TextSegment]], tokenizer: PreTrainedTokenizerFast, context: int = CONTEXT
) -> list[EncodedRow]:
    """Token ids, and which of them are answers: what is only read is not learnt."""
    segments = [segment for sample in samples for segment in sample]
    encoded = iter(tokenizer([s.text for s in segments], add_special_tokens=False)["input_ids"])
    rows: list[EncodedRow] = []
    for sample in samples:
        ids: list[int] = []
        learn: list[bool] = []
        for segment in sample:
            piece = next(encoded)
            ids += piece
            learn += [segment.answer] * len(piece)
        rows.append((ids[:context], learn[:context]))
    return rows


def pad(rows: list[EncodedRow], length: int | None = None, count: int | None = None) -> PaddedBatch:
    """Encoded rows as one right-padded batch: as long as the longest and as many as they are, or as said."""
    length = length or max(len(ids) for ids, _ in rows)
    count = count or len(rows)
    ids = torch.zeros(count, length, dtype=torch.long)
    learn = torch.zeros(count, length, dtype=torch.bool)
    for i, (row, answer) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        learn[i, : len(row)] = torch.tensor(answer)
    return PaddedBatch(ids, learn)
