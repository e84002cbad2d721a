"""Log-probabilities of answers against one row at a time, in float64."""

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.errors import ModelError
from mindscope.models import Edit, Row, score_answer_tokens


@pytest.mark.parametrize("family", FAMILIES[:6], ids=str)
def test_each_token_as_a_row_alone_says(family, monkeypatch):
    model = build(family)
    draw = torch.Generator().manual_seed(0)
    rows = []
    for prompt, answer in ((3, 4), (1, 1), (6, 0), (0, 5), (2, 7)):
        ids = torch.randint(3, model.vocab_size, (prompt + answer,), generator=draw).tolist()
        rows.append(Row(tuple(ids), prompt))
    # Two rows of the longest a batch, so that batches of several rows and several batches both happen.
    monkeypatch.setattr(
        "mindscope.models.answer_logprobs._LOGIT_BYTES", 4 * model.vocab_size * 2 * max(map(len, rows))
    )
    told = []
    values = score_answer_tokens(model, rows, progress=lambda done, total: told.append((done, total)))
    for row, value in zip(rows, values, strict=True):
        first = max(row.prompt_length, 1)
        expected = torch.zeros(0)
        if len(row) > first:
            with torch.inference_mode():
                logits = model.hf(torch.tensor([row.ids])).logits[0].double()
            log_p = logits.log_softmax(-1)
            expected = torch.stack([log_p[t - 1, row.ids[t]] for t in range(first, len(row))]).float()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    assert told[-1] == (4, 5)  # the row without an answer needs no pass


def test_rows_that_do_not_fit_are_refused():
    model = build(FAMILIES[0])
    with pytest.raises(ModelError, match="outside the vocabulary"):
        score_answer_tokens(model, [Row((model.vocab_size,), 0)])


def test_edits_reach_the_tokens_they_mean_in_every_batch(monkeypatch):
    model = build(FAMILIES[0])
    monkeypatch.setattr("mindscope.models.answer_logprobs._LOGIT_BYTES", 4 * model.vocab_size * 20)
    rows = [Row(tuple(range(3, 3 + length)), 2) for length in (9, 5, 8, 4, 9)]
    push = Edit("resid_post.0", "add", torch.linspace(-1, 1, model.d_model), 3.0, where="response")
    values = score_answer_tokens(model, rows, edits=[push])
    for row, value in zip(rows, values, strict=True):
        with torch.inference_mode(), model.edited([push], [row]):
            logits = model.hf(**model.batch([row])).logits[0].double().log_softmax(-1)
        expected = torch.stack([logits[t - 1, row.ids[t]] for t in range(2, len(row))]).float()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(torch.cat(values), torch.cat(score_answer_tokens(model, rows)), atol=1e-2)
