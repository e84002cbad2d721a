"""Log-probabilities of answers against one row at a time, in float64."""

import pytest
import torch
from tiny_models import FAMILIES, build

from mindscope.errors import ModelError
from mindscope.models import Edit, Row, score_answer_tokens
from mindscope.models.generation.prefix_cache import prefixes_stand_alone


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
    _require_as_alone(model, rows, values)
    assert told[-1] == (4, 5)  # the row without an answer needs no pass


def _require_as_alone(model, rows, values):
    for row, value in zip(rows, values, strict=True):
        first = max(row.prompt_length, 1)
        expected = torch.zeros(0)
        if len(row) > first:
            with torch.inference_mode():
                logits = model.hf(torch.tensor([row.ids])).logits[0].double()
            log_p = logits.log_softmax(-1)
            expected = torch.stack([log_p[t - 1, row.ids[t]] for t in range(first, len(row))]).float()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_answers_that_share_prompts_as_each_alone_says(family, monkeypatch):
    model = build(family)
    draw = torch.Generator().manual_seed(0)

    def ids(count):
        return tuple(torch.randint(3, 60, (count,), generator=draw).tolist())

    prompts = [ids(length) for length in (3, 9, 5)]
    lengths = {0: (4, 1, 0, 7), 1: (2, 6, 6, 3), 2: (1, 5)}
    rows = [Row((*prompts[p], *ids(n)), len(prompts[p])) for p, all_n in lengths.items() for n in all_n]
    rows = [rows[i] for i in torch.randperm(len(rows), generator=draw).tolist()]
    # Three answers a pass: a prompt is torn between passes, and a pass holds answers to two prompts.
    monkeypatch.setattr("mindscope.models.answer_logprobs._LOGIT_BYTES", 4 * model.vocab_size * 21)
    passes = []
    forward = model.forward_pass
    monkeypatch.setattr(
        model, "forward_pass", lambda *a, **k: passes.append(k["logits"]) or forward(*a, **k), raising=True
    )
    values = score_answer_tokens(model, rows)
    _require_as_alone(model, rows, values)
    assert ("all" in passes) == prefixes_stand_alone(model)


def test_instructions_before_unlike_questions_pass_once(monkeypatch):
    model = build(FAMILIES[0])
    draw = torch.Generator().manual_seed(0)

    def ids(count):
        return tuple(torch.randint(3, 60, (count,), generator=draw).tolist())

    instructions = [ids(12), ids(10)]
    rows = []
    for n, question in enumerate((1, 3, 2, 4, 3, 2)):
        prompt = (*instructions[n % 2], *ids(question))
        rows.append(Row((*prompt, *ids((2, 5, 0, 1, 3, 6)[n])), len(prompt)))
    rows.append(Row((*instructions[0], *ids(3)), len(instructions[0])))  # asks nothing more
    passed = []
    forward = model.forward_pass

    def watched(given, layout, *args, **options):
        passed.append(int((layout.positions >= 0).sum()))
        return forward(given, layout, *args, **options)

    monkeypatch.setattr(model, "forward_pass", watched)
    values = score_answer_tokens(model, rows)
    _require_as_alone(model, rows, values)
    assert passed[0] == 22  # both instructions, each once
    assert sum(passed) < sum(len(row) for row in rows if row.answer) * 0.8


def test_an_edit_around_it_reaches_answers_that_share_prompts():
    model = build(FAMILIES[0])
    rows = [Row((5, 6, 7, *answer), 3) for answer in ((8, 9), (10, 11, 12), (13,))]
    push = Edit("resid_post.1", "add", torch.linspace(-1, 1, model.d_model), 2.0, where="all")
    with model.edited([push]):
        values = score_answer_tokens(model, rows)
    torch.testing.assert_close(values, score_answer_tokens(model, rows, edits=[push]), atol=1e-5, rtol=1e-5)


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
