"""Rotary positions that depend on length: a row against itself alone in a fresh model."""

import pytest
import tiny_models
import torch

from mindscope.errors import ModelError
from mindscope.models import Edit, Last, Mean, Model, Raw, Read, Row, Sampling

SEAM = 8
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 3.0, 2.0, 5.0],
    "original_max_position_embeddings": SEAM,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}
LENGTHS = (6, 20, 8, 9, 3, 14)


def build(name):
    if name == "llama":
        return tiny_models.build(tiny_models.FAMILIES[0], rope_parameters=DYNAMIC)
    extra = {"original_max_position_embeddings": SEAM, "rope_parameters": dict(LONGROPE)}
    if name == "phimoe":
        extra["rope_parameters"] |= {"short_mscale": 1.1, "long_mscale": 1.3}
        extra |= {"num_local_experts": 4, "num_experts_per_tok": 2}
    return tiny_models.build(tiny_models.Family(name, *tiny_models.LLAMA, {}), **extra)


@pytest.fixture(scope="module", params=["phi3", "phimoe"])
def model(request) -> Model:
    return build(request.param)


def rows_of(lengths, prompt=None):
    generator = torch.Generator().manual_seed(4)
    return [
        Row(tuple(torch.randint(0, tiny_models.WORDS, (n,), generator=generator).tolist()), prompt or n)
        for n in lengths
    ]


@pytest.fixture
def rows():
    return rows_of(LENGTHS)


def alone(model, row):
    """The last block's output of one row, from a plain pass of its own."""
    seen = []
    handle = model.hf.get_submodule("model.layers")[1].register_forward_hook(
        lambda _m, _a, output: seen.append(output if isinstance(output, torch.Tensor) else output[0])
    )
    with torch.no_grad():
        logits = model.hf(torch.tensor([row.ids]), use_cache=False).logits[0]
    handle.remove()
    return seen[0][0], logits


def test_what_is_tested_differs_on_the_two_sides(model):
    """The oracle tells the sides apart: the first tokens of a row change when it passes the seam."""
    (row,) = rows_of([SEAM + 1])
    short = alone(model, Row(row.ids[:SEAM], SEAM))[0]
    assert (alone(model, row)[0][:SEAM] - short).abs().max() > 0.01


@pytest.mark.parametrize("batch_tokens", [20, 400])
def test_a_row_is_read_as_if_it_were_alone(model, rows, batch_tokens):
    got = model.read(rows, {"raw": Read("resid_post.1", Raw())}, batch_tokens=batch_tokens)["raw"].values
    for row, values in zip(rows, got, strict=True):
        assert torch.allclose(values, alone(model, row)[0], atol=1e-5)


def test_next_logits_are_those_of_the_row_alone(model, rows):
    for row, values in zip(rows, model.next_logits(rows), strict=True):
        assert torch.allclose(values, alone(model, row)[1][-1], atol=1e-5)


@pytest.mark.parametrize("pass_tokens", [4096, 4])
def test_answers_on_both_sides_are_written_side_by_side(model, monkeypatch, pass_tokens):
    monkeypatch.setattr(Model, "pass_tokens", pass_tokens)
    rows, sampling = rows_of((3, 20, 2, 9, 13)), Sampling(max_new_tokens=5, temperature=0)
    reads = {"mean": Read("resid_post.1", Mean("all")), "last": Read("resid_post.1", Last("answer"))}
    written = model.generate(rows, sampling, reads=reads)
    for row, generation in zip(rows, written, strict=True):
        ids = list(row.ids)
        for _ in range(5):  # by passes over the whole row, without a cache
            token = int(alone(model, Row(tuple(ids), len(ids)))[1][-1].argmax())
            if token in model.eos_ids:
                break
            ids.append(token)
        assert generation.row.ids == tuple(ids)
        blocks = alone(model, generation.row)[0]
        assert torch.allclose(generation.reads["mean"], blocks.mean(0), atol=1e-5)
        assert torch.allclose(generation.reads["last"], blocks[-1], atol=1e-5)


def test_a_batch_of_training_gives_each_row_its_own_positions(model, rows):
    batch = model.batch(rows)
    with torch.no_grad(), model.edited([]):
        logits = model.hf(**batch).logits
    for i, row in enumerate(rows):
        assert torch.allclose(logits[i, : len(row)], alone(model, row)[1], atol=1e-5)


def test_other_peoples_generation_is_left_as_transformers_makes_it(model):
    ids = torch.tensor([rows_of([6])[0].ids])
    options = {"do_sample": False, "max_new_tokens": 6, "pad_token_id": 62, "eos_token_id": None}
    plain = model.hf.generate(ids, **options)
    with model.edited([]):
        assert model.hf.generate(ids, **options).tolist() == plain.tolist()


def test_a_row_that_would_grow_over_the_seam_is_refused(model):
    with pytest.raises(ModelError, match=r"would pass 8, .* at most 2 new"):
        model.generate(rows_of([6]), Sampling(max_new_tokens=3))
    (written,) = model.generate(rows_of([6]), Sampling(max_new_tokens=2, temperature=0))
    assert len(written.row) <= SEAM


def test_dynamic_frequencies_depend_neither_on_neighbours_nor_on_history():
    model, fresh = build("llama"), build("llama")
    seam = model.rope_seam
    long, exact, short = rows_of((seam + 20, seam, 9))
    with torch.no_grad():
        model.hf(torch.tensor([long.ids]))  # leaves a stretched table behind
    for row in (exact, short):
        (got,) = model.read([row], {"raw": Read("resid_post.1", Raw())})["raw"].values
        assert torch.allclose(got, alone(fresh, row)[0], atol=1e-5)
    batch = {
        "input_ids": torch.zeros(3, len(long), dtype=torch.long),
        "attention_mask": torch.zeros(3, len(long)),
    }
    for i, row in enumerate((long, exact, short)):
        batch["input_ids"][i, : len(row)] = torch.tensor(row.ids)
        batch["attention_mask"][i, : len(row)] = 1
    with torch.no_grad(), model.edited([]):
        logits = model.hf(**batch).logits
    for i, row in enumerate((long, exact, short)):
        assert torch.allclose(logits[i, : len(row)], alone(build("llama"), row)[1], atol=1e-4)
    with pytest.raises(ModelError, match="shorten it"):
        model.read([long], {"raw": Read("resid_post.1", Raw())})


def test_nothing_stays_hooked(model, rows):
    before = tiny_models.hooks_on(model)
    with pytest.raises(ModelError), model.edited([Edit("resid_post.1", "add", torch.ones(32))]):
        model.read([Row((99,), 1)], {})
    model.next_logits(rows)
    assert tiny_models.hooks_on(model) == before
