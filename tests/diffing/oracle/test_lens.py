"""The lens on a model whose stream was moved by a known vector, and pushes that undo it."""

import diff_kit
import pytest
import torch

from mindscope.diffing.claims.pushing import PushDirection, answer_losses
from mindscope.diffing.ladder.lens import (
    mean_differences,
    read_lens,
    read_patchscope,
    remaining_differences,
)
from mindscope.diffing.pairing import chat_row
from mindscope.models import Mean


@pytest.fixture(scope="module")
def vector():
    return torch.randn(32, generator=torch.Generator().manual_seed(3)) * 2


@pytest.fixture(scope="module")
def offset(tiny, vector):
    return diff_kit.with_offset(tiny, 1, vector)


def test_a_constant_offset_is_the_difference_everywhere(tiny, offset, vector):
    prompts = diff_kit.prompts(6)
    answers = ["yes"] * 6
    reading, vectors = read_lens(
        tiny, offset, ["some text", "and more of it"], prompts, answers, "resid_post.1", diff_kit.CONFIG
    )
    assert {place.place for place in reading.places} == {
        *(f"text {j}" for j in range(5)), "texts", "last_prompt", "answer",
    }  # fmt: skip
    for place in reading.places:
        torch.testing.assert_close(vectors.vectors[place.place], vector, rtol=1e-4, atol=1e-4)
        assert place.norm == pytest.approx(float(vector.norm()), rel=1e-4)
        assert place.agreement == pytest.approx(1, abs=1e-4)
    rows = [chat_row(tiny, prompt, "yes") for prompt in prompts]
    differences = mean_differences(
        tiny, offset, rows, ["resid_post.0", "resid_post.1", "resid_post.2"], [Mean("answer")]
    )
    assert set(differences) == {"resid_post.1", "resid_post.2"}  # nothing differs before the offset


def test_the_logit_lens_names_the_token_that_the_offset_promotes(tiny):
    token = tiny.tokenizer.encode("q", add_special_tokens=False)[0]
    promoted = diff_kit.with_offset(tiny, 2, 20 * tiny.hf.lm_head.weight[token].detach())
    prompts, answers = diff_kit.prompts(4), ["yes"] * 4
    reading, vectors = read_lens(
        tiny, promoted, ["some text"], prompts, answers, "resid_post.2", diff_kit.CONFIG
    )
    assert all("q" in place.logit_lens[:3] for place in reading.places)
    # In the last block nothing follows: the patchscope reads what the unembedding does.
    scope = read_patchscope(promoted, "resid_post.2", vectors.vectors["answer"], 50.0, 3)
    assert token in scope


def test_taking_the_difference_back_gives_the_base(tiny, offset, vector):
    prompts, answers = diff_kit.prompts(5), ["one", "two", "three", "four", "five"]
    direction = PushDirection(
        "all", "resid_post.1", vector / vector.norm(), 4.0, float(vector.norm()), "all",
        {"resid_post.1": vector},
    )  # fmt: skip
    of_base = answer_losses(tiny, prompts, answers, [])
    of_offset = answer_losses(offset, prompts, answers, [])
    assert abs(of_base - of_offset).max() > 0.01
    lowered = answer_losses(offset, prompts, answers, direction.lowered())
    assert lowered == pytest.approx(of_base, abs=1e-4)
    raised = answer_losses(tiny, prompts, answers, direction.raised(direction.gap / direction.norm))
    assert raised == pytest.approx(of_offset, abs=1e-4)
    (control,), (push,) = direction.raised(0.5, seed=0), direction.raised(0.5)
    length = [float(edit.vector.norm()) * abs(edit.value) for edit in (control, push)]
    assert length[0] == pytest.approx(length[1])
    assert not torch.allclose(control.vector, push.vector)


def test_what_is_taken_back_at_every_layer_leaves_the_base(tiny, vector):
    """Two offsets: the whole difference at every layer would be taken as often as there are layers."""
    last = tiny.n_layers - 1
    offset = diff_kit.with_offset(diff_kit.with_offset(tiny, 0, vector), last, vector.flip(0))
    prompts, answers = diff_kit.prompts(5), ["one", "two", "three", "four", "five"]
    rows = [chat_row(tiny, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    addresses = [f"resid_post.{layer}" for layer in range(tiny.n_layers)]
    whole = mean_differences(tiny, offset, rows, addresses, [Mean("answer")])
    remaining = remaining_differences(tiny, offset, rows, addresses, [Mean("answer")], "all")
    torch.testing.assert_close(remaining[addresses[0]], vector, atol=1e-4, rtol=0)
    torch.testing.assert_close(remaining[addresses[last]], vector.flip(0), atol=1e-4, rtol=0)
    for address in addresses[1:last]:
        assert address not in remaining or remaining[address].norm() < 1e-4
    of_base = answer_losses(tiny, prompts, answers, [])
    unit = vector / vector.norm()
    lowered = {
        name: answer_losses(
            offset,
            prompts,
            answers,
            PushDirection("all", addresses[0], unit, 4.0, 1.0, "all", back).lowered(),
        )
        for name, back in (("remaining", remaining), ("whole", whole))
    }
    assert lowered["remaining"] == pytest.approx(of_base, abs=1e-3)
    assert abs(lowered["whole"] - of_base).max() > 0.05
