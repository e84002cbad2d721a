import threading

import pytest
import template_kit
import torch
from tiny_models import hooks_on, tokenizer

from mindscope.errors import ModelError
from mindscope.models import Edit, Last, Mean, Model, Read, Row, Sampling
from mindscope.models.tokens.text import AnswerStream, StopStrings

MANY = Sampling(max_new_tokens=12, seed=1)


@pytest.fixture
def ending(llama) -> Model:
    """The tiny model with a bias of its own for ending, so that answers have many lengths."""
    head = llama.hf.lm_head
    handle = head.register_forward_hook(
        lambda _m, _a, out: out + 4.0 * torch.nn.functional.one_hot(torch.tensor(61), 64)
    )
    yield llama
    handle.remove()


@pytest.fixture
def many() -> list[Row]:
    generator = torch.Generator().manual_seed(9)
    lengths = torch.randint(1, 14, (23,), generator=generator).tolist()
    return [Row(tuple(torch.randint(0, 60, (n,), generator=generator).tolist()), n) for n in lengths]


def test_answers_do_not_depend_on_order_neighbours_or_batch_size(ending, many):
    seeds = list(range(100, 123))
    reads = {"mean": Read("resid_post.1", Mean("answer"))}
    base = ending.generate(many, MANY, seeds=seeds, reads=reads)
    lengths = {len(g.row.answer) for g in base}
    assert len(lengths) > 4  # rows leave the batch at many different times
    backwards = ending.generate(many[::-1], MANY, seeds=seeds[::-1], reads=reads, batch_rows=5)[::-1]
    for one, other in zip(base, backwards, strict=True):
        assert (one.row, one.text, one.finish) == (other.row, other.text, other.finish)
        assert torch.allclose(one.reads["mean"], other.reads["mean"], atol=1e-5, equal_nan=True)


def test_answers_do_not_hang_on_the_precision_of_new_tensors(llama, many):
    """Another model that is loaded meanwhile changes it for all threads."""
    reads = {"mean": Read("resid_post.1", Mean("answer"))}
    edits = [[Edit("resid_post.0", "add", torch.ones(llama.d_model), 0.5)]] * len(many)
    base = llama.generate(many, MANY, reads=reads, edits=edits)
    torch.set_default_dtype(torch.bfloat16)
    try:
        meanwhile = llama.generate(many, MANY, reads=reads, edits=edits)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [one.row.ids for one in meanwhile] == [one.row.ids for one in base]
    for one, other in zip(base, meanwhile, strict=True):
        assert torch.equal(one.reads["mean"].nan_to_num(), other.reads["mean"].nan_to_num())


def test_the_same_prompt_gives_different_answers_and_the_same_seed_the_same(llama):
    rows = [Row((1, 2, 3), 3)] * 4
    answers = [g.row.answer for g in llama.generate(rows, MANY)]
    assert len(set(answers)) == 4
    assert answers == [g.row.answer for g in llama.generate(rows, MANY)]
    assert answers != [g.row.answer for g in llama.generate(rows, Sampling(max_new_tokens=12, seed=2))]
    assert len({g.row.answer for g in llama.generate(rows, MANY, seeds=[5] * 4)}) == 1


def test_the_ending_token_is_no_part_of_the_answer(ending, many):
    for generation in ending.generate(many, MANY):
        assert 61 not in generation.row.ids
        assert generation.finish == ("length" if len(generation.row.answer) == 12 else "stop")
        assert generation.text == ending.decode(generation.row.answer)
        assert generation.row.roles == ("user",) * generation.row.prompt_length + ("assistant",) * len(
            generation.row.answer
        )


def test_an_empty_answer_reads_as_nan_alone(llama):
    handle = llama.hf.lm_head.register_forward_hook(lambda _m, _a, out: out + 99.0 * torch.eye(64)[61])
    try:
        reads = {
            "answer": Read("resid_post.1", Mean("answer")),
            "prompt": Read("resid_post.1", Mean("prompt")),
        }
        (generation,) = llama.generate([Row((1, 2), 2)], MANY, reads=reads)
    finally:
        handle.remove()
    assert generation.row.answer == ()
    assert generation.finish == "stop"
    assert generation.reads["answer"].isnan().all()
    assert generation.reads["prompt"].isfinite().all()


def test_an_answer_that_was_begun_goes_on(llama):
    prompt = Row((1, 2, 3, 4), 4)
    (whole,) = llama.generate([prompt], Sampling(temperature=0, max_new_tokens=8))
    begun = prompt.answered(whole.row.answer[:3])
    reads = {"mean": Read("resid_post.1", Mean("answer"))}
    (rest,) = llama.generate([begun], Sampling(temperature=0, max_new_tokens=5), reads=reads)
    assert rest.row == whole.row
    assert rest.text == llama.decode(whole.row.answer[3:])
    assert torch.allclose(rest.reads["mean"], llama.read([whole.row], reads)["mean"].values[0], atol=1e-5)


def test_answers_end_before_a_stop_string_and_so_do_their_reads(llama, many):
    plain = llama.generate(many, MANY)
    stop = f"{plain[0].text.split()[2]} {plain[0].text.split()[3]}"  # spans two tokens
    reads = {"mean": Read("resid_post.1", Mean("answer")), "last": Read("resid_post.2", Last("all"))}
    edits = [[Edit("resid_post.0", "add", torch.ones(32), 1e-6 * i)] for i in range(len(many))]
    stopped = llama.generate(
        many, Sampling(max_new_tokens=12, seed=1, stop=(stop, "nowhere")), reads=reads, edits=edits
    )
    assert stopped[0].finish == "stop"
    for before, after in zip(plain, stopped, strict=True):
        cut = before.text.find(stop)
        assert after.text == (before.text if cut < 0 else before.text[:cut])
        assert after.row.answer == before.row.answer[: len(after.row.answer)]
        assert llama.decode(after.row.answer) == after.text.strip()
    again = llama.read([g.row for g in stopped], reads, edits=edits)
    for name in reads:
        ours = torch.stack([g.reads[name] for g in stopped])
        assert torch.allclose(ours, again[name].values, atol=1e-5, equal_nan=True)


def test_the_context_is_never_overrun(llama):
    rows = [Row(tuple(range(60)), 60), Row((1,), 1), Row((*range(59), 1, 2, 3, 4), 63)]
    reads = {"last": Read("resid_post.2", Last("all"))}
    generations = llama.generate(rows, Sampling(max_new_tokens=100), reads=reads)
    assert max(len(g.row) for g in generations) == 64
    for row, generation in zip(rows, generations, strict=True):
        assert generation.finish == "stop" or len(generation.row) == min(64, len(row) + 100)
    again = llama.read([g.row for g in generations], reads)["last"].values
    assert torch.allclose(torch.stack([g.reads["last"] for g in generations]), again, atol=1e-5)
    with pytest.raises(ModelError, match="row 0 has 64 tokens, the model takes 63"):
        llama.generate([Row((*range(60), 1, 2, 3, 4), 64)], MANY)


def test_tokens_stream_as_they_come(ending, many):
    seen: dict[int, list[tuple[int, str]]] = {}
    generations = ending.generate(
        many, MANY, batch_rows=7, on_token=lambda i, token, text: seen.setdefault(i, []).append((token, text))
    )
    for i, generation in enumerate(generations):
        assert "".join(text for _, text in seen[i]) == generation.text
        tokens = tuple(token for token, _ in seen[i])
        assert tokens == generation.row.answer + (() if generation.finish == "length" else (61,))


def test_progress_counts_rows(llama, many):
    counts: list[tuple[int, int]] = []
    llama.generate(many, MANY, batch_rows=10, progress=lambda done, total: counts.append((done, total)))
    assert counts == [(i + 1, 23) for i in range(23)]
    llama.read(
        many, {"r": Read("resid_post.0", Mean("all"))}, batch_tokens=40, progress=lambda *c: counts.append(c)
    )
    assert counts[-1] == (23, 23)
    assert len(counts) > 25


def test_no_rows_are_no_answers(llama):
    assert llama.generate([], MANY) == []
    assert llama.next_logits([]).shape == (0, 64)
    assert llama.read([], {"r": Read("resid_post.0", Mean("all"))})["r"].valid.shape == (0,)


@pytest.mark.parametrize(
    ("rows", "options", "match"),
    [
        ([Row((), 0)], {}, "row 0 is empty"),
        ([Row((1, 64), 2)], {}, "outside the vocabulary"),
        ([Row((1, 2), 2)], {"seeds": [1, 2]}, "2 seeds for 1 rows"),
        ([Row((1, 2), 2)], {"seeds": [-1]}, "seed must be 0 or more"),
        ([Row((1, 2), 2)], {"edits": [[], []]}, "2 lists of edits for 1 rows"),
    ],
)
def test_bad_rows_and_lists_get_one_line(llama, rows, options, match):
    with pytest.raises(ModelError, match=match) as caught:
        llama.generate(rows, MANY, **options)
    assert "\n" not in str(caught.value)


def test_threads_with_different_steering_do_not_see_each_other(llama, many):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0))
    jobs = [[], [Edit("resid_post.0", "add", vector, 2.0)], [Edit("resid_post.1", "ablate", vector)], []]
    alone = [[g.row for g in llama.generate(many, MANY, edits=edits)] for edits in jobs]
    assert alone[0] != alone[1] != alone[2]
    together: list = [None] * len(jobs)
    barrier = threading.Barrier(len(jobs))

    def work(i):
        barrier.wait()
        together[i] = [g.row for g in llama.generate(many, MANY, edits=jobs[i], batch_rows=6)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert hooks_on(llama) == 0


def test_stop_strings_are_found_within_and_across_tokens():
    stops = StopStrings(tokenizer(), ["w3 w4", "w9"])
    assert not stops.found([1, 2, 3])
    assert stops.found([1, 2, 3, 4])
    assert stops.cut([1, 2, 3, 4, 9]) == (2, "w1 w2 ")
    assert stops.cut([9]) == (0, "")
    assert stops.held("w1 w3 ") == 3
    assert stops.held("w1") == 0


def test_a_stream_holds_back_half_characters_and_half_stops():
    stream = AnswerStream(StopStrings(tokenizer(), ["END"]))
    pieces = [
        stream.add(text, ended=ended)
        for text, ended in [
            ("a", False),
            ("a\ufffd", False),
            ("aé", False),
            ("aéE", False),
            ("aéEx", False),
            ("aéExEN", True),
        ]
    ]
    assert pieces == ["a", "", "é", "", "Ex", "EN"]


@pytest.mark.parametrize("template", ["", "{{ '' }}"])
def test_a_prompt_without_tokens_is_called_empty(template):
    model = template_kit.speaker("chatml")
    model.tokenizer.chat_template = template or None
    model = model.with_template()
    row = model.chat([{"role": "user", "content": "" if not template else "hi"}])
    with pytest.raises(ModelError, match="row 0 is empty"):
        model.generate([row])
    with pytest.raises(ModelError, match="row 0 is empty"):
        model.generate([model.text("")])
