"""A step's rows in batches, the same tokens whichever way they are cut, and rows of the second world."""

from itertools import islice

import pytest
import torch

from mindscope.models import Model
from mindscope.organism import corpus_rows
from mindscope.organism.mechanisms.corpus.recipe import LENGTHS, SecondTrainConfig
from mindscope.organism.training.batches import PaddedBatch, step_batches
from mindscope.organism.training.train import answer_loss, new_model

FEW = SecondTrainConfig(layers=1, width=32, heads=2, mlp_width=64)
EQUAL = FEW.model_copy(update={"padded_lengths": ()})
TOKENIZER = FEW.source().tokenizer()


def learnt(batches: list[PaddedBatch]) -> list[list[int]]:
    rows = [ids[learn].tolist() for b in batches for ids, learn in zip(b.ids, b.learn, strict=True)]
    return sorted(row for row in rows if row)


@pytest.mark.parametrize("step", [0, 2500])
def test_few_shapes_hold_the_rows_of_equal_shares(step: int):
    few, equal = (list(step_batches(config, TOKENIZER, step)) for config in (FEW, EQUAL))
    assert learnt(few) == learnt(equal)
    assert {b.ids.shape for b in few} <= {(max(1, FEW.batch_tokens // n), n) for n in LENGTHS}
    assert len(equal) == EQUAL.micro_batches


def test_the_longest_row_has_a_length():
    assert LENGTHS[-1] == FEW.source().context
    assert list(LENGTHS) == sorted(LENGTHS)


def test_added_tokens_count_for_nothing():
    model = new_model(FEW, TOKENIZER)
    batch = next(iter(step_batches(FEW, TOKENIZER, 0)))
    assert int(batch.learn[:, 1:].sum()) % 64
    torch.testing.assert_close(answer_loss(model, batch, 64), answer_loss(model, batch))


def test_rows_of_the_second_world_are_the_same_wherever_reading_starts():
    model = Model.wrap(new_model(FEW, TOKENIZER), TOKENIZER, name="second")
    rows = list(islice(corpus_rows(model, world="second"), 6))
    assert rows[4:] == list(islice(corpus_rows(model, 4, world="second"), 2))
    assert rows != list(islice(corpus_rows(model, seed=1, world="second"), 6))
    assert all(0 < row.prompt_length <= len(row.ids) for row in rows)
