"""Every scope of an edit, in passes that somebody else makes, against `model.generate`."""

import pytest
import tiny_models
import torch
from transformers import DynamicCache, StaticCache

from mindscope.errors import ModelError
from mindscope.models import Edit, Model, Row, Sampling
from mindscope.models.tokens.batch import left_padded
from mindscope.models.tokens.call_layout import layout_of_call

N_NEW = 6
ROWS = [Row((4, 9, 23, 7, 41), 5), Row((11, 3), 2), Row((8, 30, 2, 19), 4)]
SCOPES = ["all", "prompt", "answer", "response", "last_prompt", (2, 6, 7)]
# Windows, which static caches hold alone; states without columns; learned positions.
OTHERS = [("mistral", "response"), ("gemma3_text", "answer"), ("qwen3_next", (2, 6, 7)), ("gpt2", "response")]
CASES = pytest.mark.parametrize(
    ("model", "where"), [*(("llama", where) for where in SCOPES), *OTHERS], ids=str, indirect=["model"]
)


@pytest.fixture(scope="module")
def model(request) -> Model:
    family = next(f for f in [*tiny_models.FAMILIES, *tiny_models.HYBRIDS] if f.name == request.param)
    return tiny_models.build(family)


def steer(model, where):
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(3))
    return Edit("resid_post.1", "add", vector * 2, 1.0, where)


def expected(model, rows, edits):
    """New ids of each row, stop tokens ignored."""
    sampling = Sampling(temperature=0, max_new_tokens=N_NEW)
    model.eos_ids = frozenset()
    written = model.generate(rows, sampling, edits=edits)
    return [list(generation.row.ids[len(row) :]) for generation, row in zip(written, rows, strict=True)]


def padded(rows):
    ids, layout = left_padded(rows)
    return torch.from_numpy(ids), torch.from_numpy(layout.positions >= 0).long()


def by_transformers(model, rows, **options):
    ids, mask = padded(rows)
    written = model.hf.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=N_NEW, min_new_tokens=N_NEW,
        eos_token_id=None, pad_token_id=62, **options,
    )  # fmt: skip
    return written[:, ids.shape[1] :].tolist()


def by_own_loop(model, rows, *, mask, position_ids, cache):
    """Greedy decoding by hand, with or without what tells where the tokens stand."""
    ids, real = padded(rows)
    held = cache(model)
    new = []
    with torch.no_grad():
        for _ in range(N_NEW):
            given = {"attention_mask": real} if mask else {}
            if position_ids:
                given["position_ids"] = (real.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            logits = model.hf(ids, past_key_values=held, use_cache=True, **given).logits[:, -1]
            ids = logits.argmax(-1, keepdim=True)
            real = torch.cat([real, torch.ones_like(ids)], 1)
            new.append(ids)
    return torch.cat(new, 1).tolist()


def growing(model):
    return DynamicCache(config=model.hf.config)


def static(model):
    return StaticCache(config=model.hf.config, max_cache_len=24)


WAYS = {
    "generate": by_transformers,
    "generate with a static cache": lambda model, rows: by_transformers(
        model, rows, cache_implementation="static"
    ),
    "own loop, mask and positions": lambda model, rows: by_own_loop(
        model, rows, mask=True, position_ids=True, cache=growing
    ),
    "own loop, static cache": lambda model, rows: by_own_loop(
        model, rows, mask=True, position_ids=True, cache=static
    ),
}
BARE_WAYS = {
    "own loop, positions alone": lambda model, rows: by_own_loop(
        model, rows, mask=False, position_ids=True, cache=growing
    ),
    "own loop, nothing but the cache": lambda model, rows: by_own_loop(
        model, rows, mask=False, position_ids=False, cache=growing
    ),
}


@CASES
def test_every_scope_in_every_way_of_generating_equals_our_own(model, where):
    edit = steer(model, where)
    plain, steered = expected(model, ROWS, None), expected(model, ROWS, [edit])
    assert steered != plain
    for way, run in WAYS.items():
        for rows, answers in [(ROWS, steered), (ROWS[:1], steered[:1])]:  # left-padded, and alone
            with model.edited([edit], rows=rows) as editing:
                assert run(model, rows) == answers, way
                editing.require()
    for way, run in BARE_WAYS.items():
        with model.edited([edit], rows=ROWS[:1]):
            assert run(model, ROWS[:1]) == steered[:1], way


@CASES
def test_edits_of_single_rows_follow_their_rows(model, where):
    vectors = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(5)) * 2
    edits = [[Edit("resid_post.1", "add", vector, 1.0, where)] for vector in vectors]
    answers = expected(model, ROWS, edits)
    with model.edited(edits, rows=ROWS):
        assert by_transformers(model, ROWS) == answers


@pytest.fixture
def seen_changes(llama):
    """What an edit by 100 at resid_post.0 changes in a call: booleans `[rows, columns]`."""

    def run(where, rows, **arguments):
        seen = []
        hidden = llama.engine.arch.block(0)
        for edits in ([], [Edit("resid_post.0", "add", torch.full((32,), 100.0), 1.0, where)]):
            with torch.no_grad(), llama.edited(edits, rows=rows):
                handle = hidden.register_forward_hook(lambda _m, _a, output: seen.append(output.clone()))
                try:
                    llama.hf(**arguments)
                finally:
                    handle.remove()
        return ((seen[1] - seen[0]).abs() > 50).all(-1).tolist()

    return run


def additive(flags):
    return torch.zeros(flags.shape).masked_fill(~flags, torch.finfo(torch.float32).min)[:, None]


@pytest.mark.parametrize("form", ["two axes", "four axes", "four axes, added"])
def test_padding_is_no_token_in_masks_of_every_form(seen_changes, form):
    rows = [Row((1, 2, 3, 4, 5, 6), 4), Row((7, 8), 1)]
    ids, real = padded(rows)
    seen = real.bool()[:, None] & torch.ones(6, 6).tril().bool()
    seen |= (
        torch.eye(6).bool()[None] & ~real.bool()[:, None]
    )  # padding sees itself: a softmax of nothing is NaN
    masks = {"two axes": real, "four axes": seen[:, None], "four axes, added": additive(seen)}
    changed = seen_changes("response", rows, input_ids=ids, attention_mask=masks[form])
    assert changed == [[False, False, False, True, True, True], [False, False, False, False, True, True]]
    changed = seen_changes((0,), rows, input_ids=ids, attention_mask=masks[form])
    assert changed == [[True, *[False] * 5], [False, False, False, False, True, False]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]])}, "texts packed together"),
        ({"attention_mask": torch.tensor([[1, 1, 1, 2, 2, 2]])}, "texts packed together"),
        ({"attention_mask": torch.ones(1, 1, 6, 6, dtype=torch.bool)}, "not plainly causal"),
        (
            {
                "attention_mask": torch.block_diag(torch.ones(3, 3), torch.ones(3, 3))
                .tril()
                .bool()[None, None]
            },
            "not plainly causal",
        ),
    ],
)
def test_a_pass_whose_tokens_cannot_be_told_is_edited_everywhere_or_not_at_all(
    seen_changes, arguments, message
):
    rows = [Row((1, 2, 3, 4, 5, 6), 4)]
    ids = torch.tensor([rows[0].ids])
    for where in ("answer", (2,)):
        with pytest.raises(ModelError, match=message):
            seen_changes(where, rows, input_ids=ids, **arguments)
    assert all(seen_changes("all", rows, input_ids=ids, **arguments)[0])


def test_a_mask_that_leaves_out_what_is_cached_is_refused(llama):
    cache = DynamicCache(config=llama.hf.config)
    edit = Edit("resid_post.0", "add", torch.ones(32), 1.0, "response")
    with torch.no_grad(), llama.edited([edit], rows=[Row((1, 2, 3), 3)]):
        llama.hf(torch.tensor([[1, 2, 3]]), past_key_values=cache, use_cache=True)
        with pytest.raises(ModelError, match="lacks the columns that are cached"):
            llama.hf(torch.tensor([[4]]), attention_mask=torch.ones(1, 1), past_key_values=cache)


def test_inputs_may_be_given_by_position_or_as_embeddings(llama):
    embeddings = llama.hf.get_input_embeddings()(torch.tensor([[1, 2, 3]]))
    for arguments in ({"input_ids": torch.zeros(1, 3)}, {"inputs_embeds": embeddings}):
        assert layout_of_call(arguments, None).positions.tolist() == [[0, 1, 2]]
    with pytest.raises(ModelError, match="input_ids or inputs_embeds"):
        layout_of_call({}, None)


def test_an_edit_that_met_no_token_is_not_taken_for_one_that_was_made(llama):
    row = Row((1, 2, 3), 3)
    edit = Edit("resid_post.0", "add", torch.ones(32), 1.0, "answer")
    with torch.no_grad(), llama.edited([edit], rows=[row]) as editing:
        llama.hf(torch.tensor([row.ids]))
        with pytest.raises(ModelError, match=r"no token was edited at resid_post\.0"):
            editing.require()
        llama.hf.generate(torch.tensor([row.ids]), max_new_tokens=3, do_sample=False, pad_token_id=62)
        editing.require()
