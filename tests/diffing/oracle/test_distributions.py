"""Divergences against the formula in float64, and the same model, where all are zero."""

import diff_kit
import numpy as np
import torch

from mindscope.diffing.ladder.distributions import compare_prompts, read_distributions
from mindscope.diffing.pairing import chat_row


def test_against_the_formula_in_float64(tiny):
    tuned = diff_kit.noisy(tiny, 1, 0.1)
    prompts = diff_kit.prompts(5)
    base_answers, answers = [f"no {i}" for i in range(5)], ["yes", "abc", "", "a longer answer", "x"]
    measured = compare_prompts(tiny, tuned, prompts, base_answers, answers)
    rows = [chat_row(tiny, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    for index in (0, 1, 3, 4):
        row = rows[index]
        b, p = (
            model.hf(torch.tensor([row.ids])).logits[0, row.prompt_length - 1 : -1].double().softmax(-1)
            for model in (tiny, tuned)
        )
        kl = (p * (p / b).log()).sum(-1)
        m = (b + p) / 2
        js = ((p * (p / m).log()).sum(-1) + (b * (b / m).log()).sum(-1)) / 2
        assert np.isclose(measured.kl[index], float(kl.mean()), rtol=1e-4)
        assert np.allclose(measured.tokens[index], js.detach().numpy(), rtol=1e-3, atol=1e-7)
    assert np.isnan(measured.kl[2])
    assert np.isfinite(measured.kl_back).all()
    assert np.isclose(float(measured.after.sum()), 1, atol=1e-5)


def test_a_model_beside_itself_has_none(tiny):
    prompts, answers = diff_kit.prompts(4), ["a", "b", "c", "d"]
    measured = compare_prompts(tiny, tiny, prompts, answers, answers)
    assert np.nanmax(measured.js) == 0
    reading = read_distributions(tiny, prompts, answers, measured, diff_kit.CONFIG)
    assert reading.kl.mean == 0
    assert not reading.raised


def test_the_largest_prompts_come_first_with_their_tokens(tiny):
    tuned = diff_kit.noisy(tiny, 2, 0.1)
    prompts, answers = diff_kit.prompts(6), ["a", "bc", "d", "efg", "h", "i"]
    measured = compare_prompts(tiny, tuned, prompts, answers, answers)
    reading = read_distributions(tiny, prompts, answers, measured, diff_kit.CONFIG)
    values = [one.js for one in reading.largest]
    assert values == sorted(values, reverse=True)
    assert "".join(text for text, _ in reading.largest[0].tokens).startswith(reading.largest[0].answer)
