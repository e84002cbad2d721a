"""Every request of a running batch is answered as it is alone, whoever joins, leaves, stops or fails."""

from dataclasses import replace

import pytest
import torch
from tiny_models import FAMILIES, HYBRIDS, WORDS, hooks_on

from mindscope.errors import ModelError
from mindscope.models import (
    DecodingBatch,
    Edit,
    GenerationRequest,
    Last,
    Mean,
    Project,
    Raw,
    Read,
    Row,
    RowAction,
    Sampling,
)

pytestmark = pytest.mark.parametrize(
    "family", [*FAMILIES, *HYBRIDS], ids=lambda family: family.name, indirect=True
)

LATE = 3
CANCELLED = 5
STEPS_BEFORE_CANCEL = 4


class Pusher:
    """Halts a row after so many tokens, the last of the prompt among them, or pushes it after three."""

    def __init__(self, model, *, halt_after: int | None):
        self.halt_after, self.n_tokens = halt_after, 0
        generator = torch.Generator().manual_seed(21)
        self.reads = {
            "p": Read("resid_post.1", Project(torch.randn(2, model.d_model, generator=generator), "response"))
        }
        self.push = Edit("resid_post.0", "add", torch.randn(model.d_model, generator=generator), 2.0)

    def step(self, seen):
        commands = {}
        for row, values in seen.items():
            self.n_tokens += len(values["p"])
            if self.halt_after is not None and self.n_tokens >= self.halt_after:
                commands[row] = RowAction(stop=True)
            elif self.halt_after is None and self.n_tokens == 3:
                commands[row] = RowAction(edits=(self.push,))
        return commands


def requests(model) -> list[GenerationRequest]:
    """Twelve requests that share as little as they can; made anew for each use, as controllers remember."""
    generator = torch.Generator().manual_seed(17)
    samplings = [
        Sampling(temperature=0, max_new_tokens=11),
        Sampling(seed=4, max_new_tokens=40),
        Sampling(temperature=0.8, top_p=0.9, seed=2, max_new_tokens=7),
        Sampling(top_k=9, seed=8, max_new_tokens=15),
    ]
    made = []
    for i in range(12):
        length = int(torch.randint(1, 16, (1,), generator=generator))
        ids = torch.randint(0, WORDS, (length,), generator=generator).tolist()
        vector = torch.randn(model.d_model, generator=generator)
        edits = [
            (),
            (Edit("resid_post.1", "add", vector, 0.7, "response"),),
            (Edit("resid_post.0", "ablate", vector), Edit("resid_post.0", "clamp", vector, 2.0, "answer")),
        ][i % 3]
        reads = [
            {},
            {
                "mean": Read("resid_post.2", Mean("answer")),
                "first": Read("resid_post.0", Mean("prompt")),
                "last": Read("resid_post.1", Last("all")),
            },
            {"raw": Read("resid_post.1", Raw("response"))},
        ][i % 3]
        made.append(
            GenerationRequest(Row(tuple(ids), length), samplings[i % 4], index=i, edits=edits, reads=reads)
        )
    for i in (1, 9, 10):
        made[i] = replace(made[i], controller=Pusher(model, halt_after=2))
    made[7] = replace(made[7], controller=Pusher(model, halt_after=None))
    return made


def alone(model, request):
    batch = DecodingBatch(model, slots=1, eos_ids=model.eos_ids)
    handle = batch.admit(request)
    while batch.busy:
        batch.step()
        batch.retire()
    return handle.result()


def run(model, slots):
    """All answers of a batch in which one row joins late and another is cancelled, by index."""
    batch = DecodingBatch(model, slots=slots, eos_ids=model.eos_ids)
    asked = requests(model)
    handles = {i: batch.admit(request) for i, request in enumerate(asked) if i != LATE}
    retired = []
    while batch.busy:
        batch.step()
        retired += batch.retire()
        if batch.n_steps == 6 and LATE not in handles:
            handles[LATE] = batch.admit(asked[LATE])
        if len(handles[CANCELLED].answer) == STEPS_BEFORE_CANCEL:
            batch.cancel(handles[CANCELLED])
    assert (batch.n_live, batch.n_waiting, batch._tables) == (0, 0, None)
    assert sorted(handle.request.index for handle in retired) == list(range(12))
    return {i: handle.result() for i, handle in handles.items()}


@pytest.mark.parametrize("slots", [3, 12])
def test_each_answer_is_the_one_it_has_alone(model, slots):
    hooks = hooks_on(model)
    together = run(model, slots)
    assert hooks_on(model) == hooks
    finishes = []
    for i, request in enumerate(requests(model)):
        expected, answer = alone(model, request), together[i]
        finishes.append(answer.finish)
        if i == CANCELLED:
            n = len(answer.row.answer)
            if answer.finish == "cancelled":
                assert n == STEPS_BEFORE_CANCEL
                assert answer.reads == {}
            assert answer.row.ids == expected.row.ids[: len(answer.row)]
            continue
        assert (answer.row, answer.text, answer.finish) == (expected.row, expected.text, expected.finish)
        assert answer.reads.keys() == request.reads.keys()
        for name, values in answer.reads.items():
            assert torch.allclose(values, expected.reads[name], atol=1e-5, rtol=1e-4, equal_nan=True)
        assert [edit.where for edit in answer.controller_edits] == [
            edit.where for edit in expected.controller_edits
        ]
    assert {"length", "halted"} <= set(finishes)


def test_a_row_that_fails_fails_alone(model):
    asked = requests(model)[:5]
    n_tokens = []

    def fail(token, text):
        n_tokens.append(token)
        if len(n_tokens) == 3:
            raise ConnectionError("the client has left")

    asked[3] = replace(asked[3], on_token=fail)
    vector = torch.full((model.d_model,), 1e30)
    asked[4] = replace(asked[4], edits=(Edit("resid_post.2", "add", vector, 1e30, "answer"),))
    batch = DecodingBatch(model, slots=4, eos_ids=model.eos_ids)
    handles = [batch.admit(request) for request in asked]
    while batch.busy:
        batch.step()
        batch.retire()
    for request, handle in zip(requests(model)[:3], handles[:3], strict=True):
        assert handle.result().row == alone(model, request).row
    if handles[3].error is None:
        assert len(n_tokens) < 3  # its answer ended before
    else:
        with pytest.raises(ConnectionError):
            handles[3].result()
    if len(handles[4].answer) != handles[4].limit:
        with pytest.raises(ModelError, match="not finite"):
            handles[4].result()
    assert batch._tables is None
