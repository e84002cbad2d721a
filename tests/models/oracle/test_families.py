"""Every family against plain torch hooks on its own modules, one unpadded row at a time."""

import pytest
import torch
from tiny_models import SOUND

from mindscope.models import Edit, Last, Mean, Model, Project, Raw, Read, Sampling

pytestmark = pytest.mark.parametrize("family", SOUND, ids=lambda family: family.name, indirect=True)

SAMPLING = Sampling(max_new_tokens=9, seed=5)


def block(model, family, layer):
    return model.hf.get_submodule(family.blocks)[layer]


def first(output):
    return output[0] if isinstance(output, tuple) else output


def raw(model, family, row, write=None):
    """The output of every block for one row, `[layers, tokens, d]`, and the logits; by hooks of our own."""
    seen, handles = [], []
    for layer in range(model.n_layers):

        def hook(_module, _args, output, layer=layer):
            if write is not None and (changed := write(layer, first(output))) is not None:
                output = (changed, *output[1:]) if isinstance(output, tuple) else changed
            seen.append(first(output)[0].clone())
            return output

        handles.append(block(model, family, layer).register_forward_hook(hook))
    try:
        with torch.no_grad():
            logits = model.hf(torch.tensor([row.ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(seen), logits


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    scale = max([1.0, *theirs.abs().flatten().tolist()])
    assert torch.allclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True), (
        (ours - theirs).abs().max()
    )


def test_reads_equal_raw_hooks(model, family, rows):
    directions = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(1))
    reads = {f"raw{layer}": Read(f"resid_post.{layer}", Raw("all")) for layer in range(model.n_layers)}
    reads |= {
        "mean": Read("resid_post.1", Mean("answer")),
        "prompt": Read("resid_post.1", Mean("prompt")),
        "last": Read("resid_post.2", Last("prompt")),
        "project": Read("resid_post.0", Project(directions, "answer")),
    }
    got = model.read(rows, reads, batch_tokens=40)
    for i, row in enumerate(rows):
        blocks, _ = raw(model, family, row)
        for layer in range(model.n_layers):
            close(got[f"raw{layer}"].values[i], blocks[layer], 3e-6)
        close(got["prompt"].values[i], blocks[1, : row.prompt_length].mean(0), 3e-6)
        close(got["last"].values[i], blocks[2, row.prompt_length - 1], 3e-6)
        close(got["project"].values[i], blocks[0, row.prompt_length :] @ directions.T, 3e-6)
        if row.answer:
            close(got["mean"].values[i], blocks[1, row.prompt_length :].mean(0), 3e-6)
        else:
            assert got["mean"].values[i].isnan().all()
    assert got["mean"].valid.tolist() == [bool(row.answer) for row in rows]
    assert got["last"].valid.all()


def test_embeddings_equal_the_table(model, family, rows):
    got = model.read(rows, {"e": Read("embeddings", Raw("all"))})["e"].values
    for row, values in zip(rows, got, strict=True):
        with torch.no_grad():
            close(values, model.hf.get_submodule(family.embedding)(torch.tensor(row.ids)), 1e-6)


def test_each_rows_edits_equal_hand_written_hooks(model, family, rows):
    generator = torch.Generator().manual_seed(2)
    vectors = torch.randn(len(rows), model.d_model, generator=generator)
    ops = ["add", "ablate", "clamp", "cap", "replace"]
    wheres = ["all", "prompt", "response", "last_prompt", (0, 2)]
    edits = [[Edit("resid_post.1", ops[i], vectors[i], 0.7, wheres[i])] for i in range(len(rows))]
    reads = {layer: Read(f"resid_post.{layer}", Raw("all")) for layer in range(model.n_layers)}
    got = model.read(rows, {str(layer): read for layer, read in reads.items()}, edits=edits)
    for i, row in enumerate(rows):
        at = {
            "all": range(len(row)),
            "prompt": range(row.prompt_length),
            "response": range(row.prompt_length - 1, len(row)),
            "last_prompt": [row.prompt_length - 1],
            (0, 2): [p for p in (0, 2) if p < len(row)],
        }[wheres[i]]

        def write(layer, hidden, i=i, at=at):
            if layer != 1:
                return None
            hidden, v = hidden.clone(), vectors[i]
            unit = v / v.norm()
            for p in at:
                h = hidden[0, p]
                along = h @ unit
                hidden[0, p] = {
                    "add": h + 0.7 * v,
                    "ablate": h - along * unit,
                    "clamp": h + (0.7 - along) * unit,
                    "cap": h + min(0.7 - along, torch.tensor(0.0)) * unit,
                    "replace": 0.7 * v,
                }[ops[i]]
            return hidden

        blocks, _ = raw(model, family, row, write)
        for layer in range(model.n_layers):
            close(got[str(layer)].values[i], blocks[layer], 3e-6)


def test_rows_generated_together_equal_rows_generated_alone(model, rows):
    vectors = torch.randn(len(rows), model.d_model, generator=torch.Generator().manual_seed(4))
    edits = [
        [Edit("resid_post.1", "add", vectors[0], 1.0, "all")],
        [],
        [Edit("resid_post.0", "ablate", vectors[2]), Edit("resid_post.2", "add", vectors[2], 2.0, "answer")],
        [Edit("resid_post.1", "clamp", vectors[3], 3.0, "response")],
        [Edit("resid_post.1", "cap", vectors[4], -1.0, "prompt")],
    ]
    seeds = [11, 12, 13, 14, 15]
    reads = {"mean": Read("resid_post.2", Mean("answer")), "last": Read("resid_post.1", Last("all"))}
    together = model.generate(rows, SAMPLING, edits=edits, reads=reads, seeds=seeds)
    plain = model.generate(rows, SAMPLING, seeds=seeds)
    for i, row in enumerate(rows):
        (alone,) = model.generate([row], SAMPLING, edits=[edits[i]], reads=reads, seeds=[seeds[i]])
        assert together[i].row == alone.row
        for name in reads:
            close(together[i].reads[name], alone.reads[name], 1e-5)
    assert together[1].row == plain[1].row
    assert sum(together[i].row != plain[i].row for i in range(len(rows))) >= 2  # the edits do something


@pytest.mark.parametrize("pass_tokens", [4096, 6])
def test_reading_while_generating_equals_a_second_pass(model, family, rows, monkeypatch, pass_tokens):
    monkeypatch.setattr(Model, "pass_tokens", pass_tokens)  # 6: prompts go through in blocks of two columns
    directions = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(6))
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(8))
    edits = [[Edit("resid_post.0", "add", vector, float(i), "response")] for i in range(len(rows))]
    reads = {
        "answer": Read("resid_post.1", Mean("answer")),
        "all": Read("resid_post.2", Mean("all")),
        "prompt": Read("resid_post.0", Mean("prompt")),
        "last": Read("resid_post.2", Last("prompt")),
        "end": Read("resid_post.2", Last("answer")),
        "project": Read("resid_post.1", Project(directions, "response")),
        "raw": Read(family.inner, Raw("all")),
    }
    generations = model.generate(rows, SAMPLING, edits=edits, reads=reads, batch_rows=3)
    again = model.read([g.row for g in generations], reads, edits=edits)
    for i, generation in enumerate(generations):
        for name in reads:
            assert generation.reads[name].shape == again[name].values[i].shape
            close(generation.reads[name], again[name].values[i], 3e-5)
            assert generation.reads[name].isfinite().all() or not generation.row.answer


def test_greedy_answers_equal_those_of_transformers(model, rows):
    ours = model.generate(rows, Sampling(temperature=0, max_new_tokens=8))
    for row, generation in zip(rows, ours, strict=True):
        theirs = model.hf.generate(
            torch.tensor([row.ids]), do_sample=False, max_new_tokens=8, eos_token_id=61, pad_token_id=62
        )[0, len(row) :].tolist()
        assert list(generation.row.ids[len(row) :]) == [i for i in theirs if i != 61]


def test_next_logits_equal_single_passes(model, family, rows):
    got = model.next_logits(rows)
    for i, row in enumerate(rows):
        close(got[i], raw(model, family, row)[1][-1], 1e-5)
