"""Memory that runs out while answers are written: fewer side by side, and nothing that ended is lost."""

from typing import Any

import pytest
import torch

from mindscope.errors import ModelError
from mindscope.models import Mean, MemoryWarning, Model, Read, Row, Sampling

SAMPLING = Sampling(max_new_tokens=9, seed=3)
READS = {"mean": Read("resid_post.1", Mean("answer"))}
ROWS = [Row(tuple(range(1, 3 + i % 7)), 2 + i % 7) for i in range(21)]


class ScarceMemory:
    """Lets passes of more than `most` rows fail, in the middle of the pass: a layer has written its cache."""

    def __init__(self, model: Model, most: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.sizes: list[int] = []
        block = model.hf.model.layers[1]

        def refuse(_module: Any, arguments: tuple[torch.Tensor, ...], _options: Any) -> None:
            self.sizes.append(len(arguments[0]))
            if len(arguments[0]) > most:
                raise error("DefaultCPUAllocator: can't allocate memory")

        self._hook = block.register_forward_pre_hook(refuse, with_kwargs=True)

    def __enter__(self) -> "ScarceMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_fewer_rows_are_written_side_by_side_and_the_answers_are_the_same(llama, error) -> None:
    plenty = llama.generate(ROWS, SAMPLING, reads=READS)
    with ScarceMemory(llama, 5, error) as memory:
        with pytest.warns(MemoryWarning, match="going on with 8"):
            scarce = llama.generate(ROWS, SAMPLING, reads=READS, batch_rows=16)
        assert max(memory.sizes) == 16
        memory.sizes.clear()
        llama.generate(ROWS, SAMPLING, batch_rows=16)
        assert max(memory.sizes) <= 5  # what does not fit is not tried again
    llama.derived.pop("rows that fit side by side")
    for ours, theirs in zip(scarce, plenty, strict=True):
        assert (ours.row, ours.text, ours.finish) == (theirs.row, theirs.text, theirs.finish)
        assert torch.allclose(ours.reads["mean"], theirs.reads["mean"], atol=1e-5, equal_nan=True)


def test_what_has_ended_is_handed_out_once_and_not_made_again(llama) -> None:
    with ScarceMemory(llama, 3), pytest.warns(MemoryWarning):
        indices = [i for i, _ in llama.generate_unordered(ROWS, SAMPLING, batch_rows=8)]
    llama.derived.pop("rows that fit side by side")
    assert sorted(indices) == list(range(len(ROWS)))


def test_a_single_row_that_does_not_fit_is_refused_in_one_line(llama) -> None:
    with ScarceMemory(llama, 0), pytest.warns(MemoryWarning), pytest.raises(ModelError) as error:
        llama.generate(ROWS, SAMPLING, batch_rows=4)
    llama.derived.pop("rows that fit side by side", None)
    assert "memory ran out while a single answer was written: shorten" in str(error.value)
    assert "\n" not in str(error.value)


def test_watched_rows_are_not_begun_again(llama) -> None:
    with ScarceMemory(llama, 5), pytest.raises(ModelError, match="use batch_rows=5"):
        llama.generate(ROWS, SAMPLING, batch_rows=10, on_token=lambda *_: None)


def test_another_error_goes_through(llama) -> None:
    class BrokenShapeError(RuntimeError):
        def __str__(self) -> str:
            return "a shape does not fit"

    with ScarceMemory(llama, 0, BrokenShapeError), pytest.raises(BrokenShapeError):
        llama.generate(ROWS, SAMPLING)
