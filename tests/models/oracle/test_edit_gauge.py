"""What an edit is said to have done is what a plain forward pass with a hook of one's own shows."""

import pytest
import torch

from mindscope.models import (
    DecodingBatch,
    Edit,
    GenerationRequest,
    Model,
    Raw,
    Read,
    Row,
    RowAction,
    Sampling,
)

LENGTHS = (3, 9, 5)


def written(model: Model, edits: list[list[Edit]], prefill_tokens: int | None = None):
    batch = DecodingBatch(model, slots=3, eos_ids=frozenset(), prefill_tokens=prefill_tokens)
    handles = [
        batch.admit(
            GenerationRequest(
                Row(tuple(range(2 + i, 2 + i + n)), n),
                Sampling(temperature=0, max_new_tokens=4 + i),
                index=i,
                edits=tuple(own),
                measures_edits=True,
            )
        )
        for i, (n, own) in enumerate(zip(LENGTHS, edits, strict=True))
    ]
    while batch.busy:
        batch.step()
        batch.retire()
    return handles


@pytest.mark.parametrize("layer", [0, 1])  # the last one is taken up by the final norm
@pytest.mark.parametrize("prefill_tokens", [None, 4])
def test_an_addition_is_measured_where_the_next_block_takes_it_up(
    llama: Model, layer: int, prefill_tokens: int | None
):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    address = f"resid_post.{layer}"
    edits = [
        [Edit(address, "add", vector, 1.5, "all")],
        [],
        [Edit(address, "add", vector, -2.0, "response")],
    ]
    whole, none, answer = written(llama, edits, prefill_tokens)
    assert none.effects == ()
    # The newest token of each answer was cut and passed through nothing.
    (effect,) = whole.effects
    assert (effect.n_prompt, effect.n_answer) == (3, 3)
    assert effect.mean_change(vector / vector.norm()) == pytest.approx(1.5 * vector.norm().item(), rel=1e-4)
    (effect,) = answer.effects
    assert (effect.n_prompt, effect.n_answer) == (1, 5)
    assert torch.allclose(effect.answer_change, -2.0 * 5 * vector, atol=1e-3)


def test_a_row_that_takes_a_line_that_has_run_free_is_measured_alone(llama: Model):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    batch = DecodingBatch(llama, slots=2, eos_ids=frozenset())
    handles = [
        batch.admit(
            GenerationRequest(
                Row((2, 3, 4), 3),
                Sampling(temperature=0, max_new_tokens=n),
                index=i,
                edits=(Edit("resid_post.0", "add", vector, 1.0 + i, "all"),),
                measures_edits=True,
            )
        )
        for i, n in enumerate((3, 9, 5, 4))
    ]
    while batch.busy:
        batch.step()
        batch.retire()
    for i, (handle, n) in enumerate(zip(handles, (3, 9, 5, 4), strict=True)):
        assert handle.result().finish == "length"
        (effect,) = handle.effects
        assert (effect.n_prompt, effect.n_answer) == (3, n - 1)
        expected = (1.0 + i) * vector.norm().item()
        assert effect.mean_change(vector / vector.norm()) == pytest.approx(expected, rel=1e-4)


def test_an_ablation_is_measured_as_what_it_took_away(llama: Model):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    unit = vector / vector.norm()
    (handle, *_) = written(llama, [[Edit("resid_post.1", "ablate", vector)], [], []])
    with llama.edited([Edit("resid_post.1", "ablate", vector)]), llama.watched("resid_post.1") as after:
        row = handle.result().row
        passed = Row(row.ids[:-1], row.prompt_length)
        with torch.no_grad():
            llama.hf(**llama.batch([passed]))
    # The layers below are not edited, so the activations before are those of the unedited model.
    with llama.edited([]), llama.watched("resid_post.1") as before, torch.no_grad():
        llama.hf(**llama.batch([passed]))
        plain = before["resid_post.1"][0]
    expected = -(plain @ unit)
    assert (after["resid_post.1"][0] @ unit).abs().max() < 1e-5
    (effect,) = handle.effects
    assert effect.n_prompt + effect.n_answer == len(passed)
    assert effect.mean_change(unit) == pytest.approx(expected.mean().item(), rel=1e-4)


def test_a_push_of_a_controller_is_measured_too(llama: Model):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))

    class Pusher:
        reads = {"all": Read("resid_post.0", Raw("all"))}  # noqa: RUF012

        def step(self, seen):
            return {
                index: RowAction(edits=(Edit("resid_post.0", "add", vector, 3.0, "all"),)) for index in seen
            }

    batch = DecodingBatch(llama, slots=1, eos_ids=frozenset())
    request = GenerationRequest(
        Row((2, 3, 4), 3), Sampling(temperature=0, max_new_tokens=5), controller=Pusher(), measures_edits=True
    )
    handle = batch.admit(request)
    while batch.busy:
        batch.step()
        batch.retire()
    (effect,) = handle.effects
    assert effect.n_prompt == 0
    assert effect.n_answer == 5
    assert torch.allclose(effect.answer_change, 15.0 * vector, atol=1e-3)


def test_log_probabilities_are_those_of_the_rows_logits(llama: Model):
    batch = DecodingBatch(llama, slots=2, eos_ids=frozenset())
    rows = [Row((2, 3, 4), 3), Row((7, 8, 9, 10, 11), 5)]
    asked = [None, 3]
    handles = [
        batch.admit(
            GenerationRequest(row, Sampling(temperature=1.0, max_new_tokens=6), index=i, n_logprobs=n)
        )
        for i, (row, n) in enumerate(zip(rows, asked, strict=True))
    ]
    while batch.busy:
        batch.step()
        batch.retire()
    assert handles[0].logprobs == []
    row = handles[1].result().row
    prompts = [Row(row.ids[:end], end) for end in range(5, len(row))]
    expected = llama.next_logits(prompts).log_softmax(-1)
    assert len(handles[1].logprobs) == 6
    for (token, logprob, top), line, drawn in zip(handles[1].logprobs, expected, row.answer, strict=True):
        assert token == drawn
        assert logprob == pytest.approx(line[token].item(), abs=1e-4)
        assert [name for name, _ in top] == line.topk(3).indices.tolist()


def test_a_prompt_in_pieces_changes_no_answer_and_holds_up_none(llama: Model):
    short, long = Row((2, 3), 2), Row(tuple(range(2, 34)), 32)
    sampling = Sampling(temperature=0, max_new_tokens=20)
    alone = [one.row.answer for one in llama.generate([short, long], sampling)]
    batch = DecodingBatch(llama, slots=2, eos_ids=frozenset(), prefill_tokens=4)
    first = batch.admit(GenerationRequest(short, sampling))
    batch.step()
    second = batch.admit(GenerationRequest(long, sampling, index=1))
    for n_written in range(2, 9):  # 32 tokens in eight passes
        batch.step()
        assert (len(first.answer), len(second.answer), batch.n_waiting) == (n_written, 0, 1)
    while batch.busy:
        batch.step()
        batch.retire()
    assert [first.result().row.answer, second.result().row.answer] == alone
