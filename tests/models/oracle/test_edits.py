"""Edits against closed forms in float64, and against hand-written code under autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import hooks_on

from mindscope.errors import ModelError
from mindscope.models import AnswerTokens, Edit, Mean, Raw, Read, Row, Sampling
from mindscope.models.hooks.edits import OPS, CompiledEdits
from mindscope.models.hooks.hook_points import HookPoint
from mindscope.models.tokens.batch import left_padded, right_padded
from mindscope.models.tokens.rows import WHERES

WIDTH = 5
PLACE = HookPoint("here", torch.nn.Identity(), "output", WIDTH, 1, None, False)


def by_definition(h: np.ndarray, edit: Edit) -> np.ndarray:
    """One token, one edit, float64."""
    v = edit.vector.double().numpy()
    unit = v / np.linalg.norm(v)
    along = h @ unit
    return {
        "add": h + edit.value * v,
        "ablate": h - along * unit,
        "clamp": h + (edit.value - along) * unit,
        "cap": h + min(edit.value - along, 0.0) * unit,
        "replace": edit.value * v,
    }[edit.op]


def holds(row: Row, position: int, where) -> bool:
    if isinstance(where, tuple):
        return position in where
    if isinstance(where, AnswerTokens):
        return position >= row.prompt_length + where.start
    return {
        "all": True,
        "prompt": position < row.prompt_length,
        "answer": position >= row.prompt_length,
        "last_prompt": position == row.prompt_length - 1,
        "response": position >= row.prompt_length - 1,
        "reasoning": False,  # these rows have none
        "final": position >= row.prompt_length,
    }[where]


vectors = (
    st.lists(st.floats(-3, 3, width=32), min_size=WIDTH, max_size=WIDTH)
    .map(torch.tensor)
    .filter(lambda v: v.norm() > 0.1)
)
edit_lists = st.lists(
    st.builds(
        Edit,
        st.just("here"),
        st.sampled_from(OPS),
        vectors,
        st.floats(-3, 3, width=32),
        st.sampled_from([*WHERES, (0,), (1, 4), (), AnswerTokens(0), AnswerTokens(2)]),
    ),
    max_size=3,
)
cases = st.lists(
    st.tuples(
        st.integers(1, 6).flatmap(lambda n: st.builds(Row, st.just(tuple(range(n))), st.integers(0, n))),
        edit_lists,
    ),
    min_size=1,
    max_size=4,
)


@given(cases, st.sampled_from([left_padded, right_padded]), st.integers(0, 99))
def test_any_mixture_of_edits_over_any_batch_is_its_definition(case, padded, seed):
    rows, edits = [row for row, _ in case], [edits for _, edits in case]
    ids, now = padded(rows)
    hidden = torch.randn(*ids.shape, WIDTH, generator=torch.Generator().manual_seed(seed)) * 2
    got = (
        CompiledEdits(edits, lambda _: PLACE, torch.device("cpu")).apply(PLACE, hidden, now)
        if any(edits)
        else hidden
    )
    for i, row in enumerate(rows):
        for column, position in enumerate(now.positions[i]):
            expected = hidden[i, column].double().numpy()
            if position >= 0:
                for edit in edits[i]:
                    if holds(row, position, edit.where):
                        expected = by_definition(expected, edit)
            assert np.allclose(got[i, column].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("op", OPS)
def test_in_bfloat16_projections_are_as_good_as_the_dtype(op):
    vector = torch.randn(256, generator=torch.Generator().manual_seed(0))
    hidden = torch.randn(1, 40, 256, generator=torch.Generator().manual_seed(1)).bfloat16()
    edit = Edit("here", op, vector, 2.0)
    place = replace(PLACE, width=256)
    _, now = right_padded([Row(tuple(range(40)), 20)])
    got = CompiledEdits([[edit]], lambda _: place, torch.device("cpu")).apply(place, hidden, now)
    assert got.dtype == torch.bfloat16
    expected = np.stack([by_definition(h, edit) for h in hidden[0].double().numpy()])
    assert np.allclose(got[0].double().numpy(), expected, rtol=2**-8, atol=2**-8 * np.abs(expected).max())


def steered_loss(model, batch, vector, layer, mask):
    """The loss by hand-written hooks: h + vector where mask is true."""

    def add(_module, _args, output):
        return output + mask.unsqueeze(-1) * vector

    handle = model.engine.arch.block(layer).register_forward_hook(add)
    try:
        return model.hf(**batch, labels=batch["input_ids"]).loss
    finally:
        handle.remove()


@pytest.fixture
def training(llama):
    llama.hf.train()
    llama.hf.requires_grad_(True)
    return llama


def gradients(model):
    return {name: p.grad.clone() for name, p in model.hf.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("where", ["all", "answer"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_flow_through_edits_to_weights_and_to_the_vector(training, rows, where, checkpointing):
    batch = training.batch(rows)
    positions = right_padded(rows)[1]
    mask = torch.from_numpy(positions.mask(where)).float()
    theirs = torch.randn(32, generator=torch.Generator().manual_seed(5)).requires_grad_()
    steered_loss(training, batch, theirs, 1, mask).backward()
    expected = gradients(training)
    training.hf.zero_grad()
    if checkpointing:
        training.hf.gradient_checkpointing_enable()
    before = hooks_on(training)
    ours = theirs.detach().clone().requires_grad_()
    with training.edited([Edit("resid_post.1", "add", ours, 1.0, where)], rows=rows):
        for _ in range(2):  # a training loop calls backward more than once in the block
            training.hf.zero_grad()
            ours.grad = None
            training.hf(**batch, labels=batch["input_ids"]).loss.backward()
    for name, gradient in gradients(training).items():
        assert torch.allclose(gradient, expected[name], atol=1e-5), name
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    assert hooks_on(training) == before


def test_inside_a_checkpointed_layer_backward_belongs_into_the_block(training, rows):
    batch = training.batch(rows)
    edit = Edit("mlp_out.1", "add", torch.ones(32))
    with training.edited([edit]):
        training.hf(**batch, labels=batch["input_ids"]).loss.backward()
    expected = gradients(training)
    training.hf.zero_grad()
    training.hf.gradient_checkpointing_enable()
    with training.edited([edit]):
        training.hf(**batch, labels=batch["input_ids"]).loss.backward()
    for name, gradient in gradients(training).items():
        assert torch.allclose(gradient, expected[name], atol=1e-6), name
    with training.edited([edit]):
        loss = training.hf(**batch, labels=batch["input_ids"]).loss
    with pytest.raises(ModelError, match="call backward inside the block"):
        loss.backward()


def test_a_vector_that_is_trained_is_used_as_it_is_now(llama, rows):
    vector = torch.ones(32, requires_grad=True)
    batch = llama.batch(rows)
    optimizer = torch.optim.SGD([vector], lr=1.0)
    losses = []
    with llama.edited([Edit("resid_post.0", "ablate", vector)]):
        for _ in range(3):
            optimizer.zero_grad()
            loss = llama.hf(**batch, labels=batch["input_ids"]).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    with torch.no_grad():
        ablated = Edit("resid_post.0", "ablate", vector.detach().clone())
        with llama.edited([ablated]):
            after = llama.hf(**batch, labels=batch["input_ids"]).loss.item()
    assert len({*losses, after}) == 4
    assert after < losses[0]


def test_padding_is_never_edited_in_passes_of_ones_own(llama, rows):
    seen = []
    handle = llama.engine.arch.block(0).register_forward_hook(lambda _m, _a, out: seen.append(out.clone()))
    vector = torch.full((32,), 100.0)
    try:
        for padded in (left_padded, right_padded):
            ids, now = padded(rows)
            real = torch.from_numpy(now.positions >= 0)
            arguments = {"input_ids": torch.from_numpy(ids), "attention_mask": real.long()}
            seen.clear()
            with torch.no_grad():
                llama.hf(**arguments)
                handle.remove()
                with llama.edited([Edit("resid_post.0", "add", vector)]):
                    handle = llama.engine.arch.block(0).register_forward_hook(
                        lambda _m, _a, out: seen.append(out.clone())
                    )
                    llama.hf(**arguments)
            change = seen[1] - seen[0]
            assert torch.allclose(change[real], vector.expand_as(change[real]), atol=1e-4)
            assert (change[~real] == 0).all()
    finally:
        handle.remove()


def test_edited_reaches_every_way_of_running_the_model(llama, rows):
    edit = Edit(
        "resid_post.1", "add", torch.randn(32, generator=torch.Generator().manual_seed(3)), 1.0, "response"
    )
    reads = {"r": Read("resid_post.2", Raw("all"))}
    sampling = Sampling(max_new_tokens=6)
    with llama.edited([edit]):
        read = llama.read(rows, reads)["r"].values
        written = llama.generate(rows, sampling, reads=reads)
        logits = llama.next_logits(rows)
    for one, other in zip(read, llama.read(rows, reads, edits=[edit])["r"].values, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(written, llama.generate(rows, sampling, reads=reads, edits=[edit]), strict=True):
        assert one.row == other.row
        assert torch.equal(one.reads["r"], other.reads["r"])
    assert torch.equal(logits, llama.next_logits(rows, edits=[edit]))
    assert not torch.equal(logits, llama.next_logits(rows))


def test_transformers_own_generation_is_edited_too(llama):
    edit = Edit("resid_post.1", "add", torch.randn(32, generator=torch.Generator().manual_seed(3)), 3.0)
    row = Row((1, 2, 3), 3)
    (ours,) = llama.generate([row], Sampling(temperature=0, max_new_tokens=6), edits=[edit])
    with llama.edited([edit]):
        theirs = llama.hf.generate(
            torch.tensor([row.ids]), do_sample=False, max_new_tokens=6, pad_token_id=62
        )
    (plain,) = llama.generate([row], Sampling(temperature=0, max_new_tokens=6))
    assert theirs[0].tolist()[: len(ours.row)] == list(ours.row.ids)
    assert plain.row != ours.row


def test_nested_blocks_add_up(llama, rows):
    one = Edit("resid_post.0", "add", torch.ones(32), 0.5)
    two = Edit("resid_post.1", "add", torch.arange(32.0), 0.1)
    read = {"r": Read("resid_post.2", Mean("all"))}
    with llama.edited([one]):
        with llama.edited([two]):
            both = llama.read(rows, read)["r"].values
        inner = llama.read(rows, read)["r"].values
    assert torch.allclose(both, llama.read(rows, read, edits=[one, two])["r"].values, atol=1e-6)
    assert torch.allclose(inner, llama.read(rows, read, edits=[one])["r"].values, atol=1e-6)
    assert hooks_on(llama) == 0


def test_rows_of_their_own_edits_in_passes_of_ones_own(llama, rows):
    generator = torch.Generator().manual_seed(2)
    edits = [[Edit("mlp_out.1", "add", torch.randn(32, generator=generator), 1.0, "answer")] for _ in rows]
    reads = {"r": Read("final_norm", Raw("all"))}
    expected = llama.read(rows, reads, edits=edits)["r"].values
    with torch.no_grad(), llama.edited(edits, rows=rows):
        states = llama.hf(**llama.batch(rows), output_hidden_states=True).hidden_states[-1]
    for i, row in enumerate(rows):
        assert torch.allclose(states[i, : len(row)], expected[i], atol=1e-5)


def test_rows_named_for_ones_own_passes_bind_no_other_method(llama, rows):
    edit = Edit("resid_post.1", "add", torch.ones(32), 1.0, "answer")
    reads = {"r": Read("resid_post.2", Mean("all"))}
    expected = llama.read(rows[:2], reads, edits=[edit])["r"].values
    with llama.edited([edit], rows=rows):
        assert torch.equal(llama.read(rows[:2], reads)["r"].values, expected)


def test_what_edited_cannot_know_is_refused(llama, rows):
    answer = Edit("resid_post.1", "add", torch.ones(32), 1.0, "answer")
    with pytest.raises(ModelError, match="needs to know each row's prompt"), llama.edited([answer]):
        llama.hf(**llama.batch(rows))
    with pytest.raises(ModelError, match="need rows="), llama.edited([[answer]] * len(rows)):
        pass
    with pytest.raises(ModelError, match="they must agree"), llama.edited([answer], rows=rows):
        llama.hf(**llama.batch(rows[:2]))
    with pytest.raises(ModelError, match="one's own forward passes"), llama.edited([[answer]] * 5, rows=rows):
        llama.read(rows, {"r": Read("resid_post.2", Mean("all"))})
    assert hooks_on(llama) == 0


def test_a_module_that_never_runs_is_no_silent_loss(llama, rows, monkeypatch):
    monkeypatch.setattr(llama.hf.model.layers[1], "forward", lambda hidden, **_: hidden)
    with (
        pytest.raises(ModelError, match=r"mlp_out\.1 never ran"),
        llama.edited([Edit("mlp_out.1", "add", torch.ones(32))]),
    ):
        llama.hf(**llama.batch(rows))
    assert hooks_on(llama) == 0


def test_a_model_in_training_is_read_without_dropout_and_left_in_training(llama, rows):
    before = llama.read(rows, {"r": Read("resid_post.2", Mean("all"))})["r"].values
    llama.hf.train()
    llama.hf.model.norm.eval()
    for module in llama.hf.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    assert torch.equal(llama.read(rows, {"r": Read("resid_post.2", Mean("all"))})["r"].values, before)
    assert llama.hf.training
    assert [module for module in llama.hf.modules() if not module.training] == [llama.hf.model.norm]


def test_what_is_read_can_be_trained_on(llama, rows):
    """Readings are ordinary tensors, not inference tensors."""
    reads = {"mean": Read("resid_post.1", Mean("prompt")), "raw": Read("resid_post.1", Raw("all"))}
    got = llama.read(rows, reads)
    (generation,) = llama.generate(rows[:1], Sampling(max_new_tokens=2), reads=reads)
    weight = torch.ones(32, requires_grad=True)
    total = (got["mean"].values @ weight).sum() + sum((values @ weight).sum() for values in got["raw"].values)
    total = (
        total + (generation.reads["mean"] @ weight).sum() + (llama.next_logits(rows)[:, :32] @ weight).sum()
    )
    total.backward()
    assert weight.grad.isfinite().all()
