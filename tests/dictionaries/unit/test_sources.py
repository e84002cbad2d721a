"""Activations from a model and from disk: the right ones, in order, the same again from any position."""

import ctypes
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from dictionary_kit import WIDTH, AtomSource
from tiny_models import FAMILIES, build, rows

from mindscope.dictionaries import ModelSource, ShardSource, TrainConfig, read_corpus, train, write_shards
from mindscope.dictionaries.training.corpus import cut
from mindscope.dictionaries.training.sources import START
from mindscope.errors import DataError
from mindscope.models import Model, Raw, Read, Row
from mindscope.store import Run

NAMES = ("resid_post.0", "mlp_out.1")


@pytest.fixture(scope="module")
def model() -> Model:
    return build(FAMILIES[0])


def some_rows(start: int) -> Iterator[Row]:
    return iter(rows()[start:])


def read_all(model: Model, skip: int = 0) -> torch.Tensor:
    found = [model.read(rows(), {"x": Read(name, Raw())})["x"].values for name in NAMES]
    return torch.cat([torch.cat([row[skip:] for row in values]) for values in found], dim=1)


@pytest.mark.parametrize("skip", [0, 2])
def test_a_model_source_gives_what_read_gives_over_and_over(model: Model, skip: int) -> None:
    source = ModelSource([model], NAMES, some_rows, skip=skip)
    assert [(site.address, site.width) for site in source.sites] == [(name, 32) for name in NAMES]
    once = read_all(model, skip)
    buffer = torch.empty(2 * len(once) + 3, 64)
    source.fill(buffer, START)
    torch.testing.assert_close(buffer[: len(once)], once, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(buffer[len(once) : 2 * len(once)], once, rtol=1e-5, atol=1e-5)


def test_a_position_gives_the_same_activations_again(model: Model) -> None:
    source = ModelSource([model], NAMES, some_rows)
    first, second = torch.empty(13, 64), torch.empty(13, 64)
    after = source.fill(first, START)
    source.fill(second, after)
    assert not torch.equal(first, second)
    again = torch.empty(13, 64)
    ModelSource([model], NAMES, some_rows).fill(again, after)
    assert torch.equal(again, second)


def test_two_models_read_the_same_rows(model: Model) -> None:
    other = build(FAMILIES[0])
    with torch.no_grad():
        for parameter in other.hf.parameters():
            parameter.mul_(1.1)
    source = ModelSource([model, other], ("resid_post.0", "1:resid_post.0"), some_rows)
    buffer = torch.empty(10, 64)
    source.fill(buffer, START)
    assert [site.name for site in source.sites] == ["resid_post.0", "1:resid_post.0"]
    assert source.models == {"0": model.fingerprint, "1": other.fingerprint}
    torch.testing.assert_close(buffer[:, :32], read_all(model)[:10, :32], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(buffer[:, 32:], read_all(other)[:10, :32], rtol=1e-5, atol=1e-5)
    with pytest.raises(DataError, match="of model 2"):
        ModelSource([model, other], ("2:resid_post.0",), some_rows)


def test_nothing_to_read_is_an_error(model: Model) -> None:
    for empty in (lambda start: iter(()), lambda start: iter([Row((1,), 1)])):
        with pytest.raises(DataError, match="no token"):
            ModelSource([model], NAMES, empty, skip=1).fill(torch.empty(4, 64), START)


def test_shards(model: Model, tmp_path: Path) -> None:
    source = ModelSource([model], NAMES, some_rows)
    with Run.open(tmp_path, kind="activations", config={}) as run:
        write_shards(source, run, tokens=30, tokens_per_shard=8, dtype=torch.float32)
    shards = ShardSource(tmp_path)
    assert (shards.names, shards.sites, shards.models) == (source.names, source.sites, source.models)
    whole, part = torch.empty(40, 64), torch.empty(5, 64)
    assert shards.fill(whole, START) == (1, 8)
    torch.testing.assert_close(whole[32:], whole[:8])
    assert shards.fill(part, (0, 6)) == (0, 11)
    assert torch.equal(part, whole[6:11])


def test_shards_written_after_a_kill_are_the_same(model: Model, tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        with Run.open(tmp_path / name, kind="activations", config={}) as run:
            write_shards(ModelSource([model], NAMES, some_rows), run, tokens=30, tokens_per_shard=8)
    for name in ("shards/00002.json", "shards/00003.safetensors", "shards/00003.json"):
        (tmp_path / "broken" / name).unlink()
    with Run.open(tmp_path / "broken", kind="activations", config={}) as run:
        write_shards(ModelSource([model], NAMES, some_rows), run, tokens=30, tokens_per_shard=8)
    for shard in range(4):
        name = f"shards/{shard:05}.safetensors"
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_files_of_text_and_of_conversations(model: Model, tmp_path: Path) -> None:
    text, lines = tmp_path / "a.txt", tmp_path / "b.jsonl"
    text.write_text("w1 w2 w3\nw4\n\n\nw5 w6\n")
    assert [len(row) for row in read_corpus(model, text)(0)] == [
        len(model.text("w1 w2 w3\nw4")),
        len(model.text("w5 w6")),
    ]
    rows = list(read_corpus(model, text)(0))
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())  # as some editors begin a file
    assert list(read_corpus(model, text)(0)) == rows
    lines.write_text(
        json.dumps({"text": "w1 w2"}) + "\n" + json.dumps({"prompt": "w3", "response": "w4 w5"}) + "\n"
    )
    first, second = read_corpus(model, lines)(0)
    assert first == model.text("w1 w2")
    assert second == model.chat([{"role": "user", "content": "w3"}], "w4 w5")
    assert list(read_corpus(model, lines)(1)) == [second]
    lines.write_text(json.dumps({"text": "w1"}) + "\n" + json.dumps({"words": "w2"}) + "\n")
    with pytest.raises(DataError, match="line 2"):
        list(read_corpus(model, lines)(0))
    with pytest.raises(DataError, match="no such file"):
        read_corpus(model, tmp_path / "absent.txt")


def test_cutting_loses_no_token() -> None:
    row = Row(tuple(range(11)), 6)
    pieces = list(cut(row, 4))
    assert [piece.ids for piece in pieces] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10)]
    assert [piece.prompt_length for piece in pieces] == [4, 2, 0]
    assert [role for piece in pieces for role in piece.roles] == list(row.roles)


@pytest.mark.slow
def test_memory_stays_while_a_stream_ten_times_the_buffer_goes_by(tmp_path: Path) -> None:
    config = TrainConfig.model_validate(
        {
            "dictionaries": [{"name": "a", "reads": ["here"], "n_latents": 64, "k": 3}],
            "steps": 160,
            "batch_tokens": 2048,
            "buffer_batches": 16,
        }
    )
    buffer = 16 * 2048 * 2 * WIDTH * 4  # bytes
    seen: list[int] = []

    hand_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)

    def look(done: int, total: int, label: str) -> None:
        hand_back(0)  # what is free and not yet the system's again would count, and comes and goes
        seen.append(psutil.Process().memory_info().rss)

    with Run.open(tmp_path, kind="test", config={}) as run:
        train(AtomSource(), run, config, progress=look)
    assert max(seen[32:]) - max(seen[:32]) < 2 * buffer  # eight buffers later


def test_every_piece_of_a_long_text_begins_as_the_model_expects(tmp_path: Path) -> None:
    """Also where the beginning-of-text token has id 0."""
    assert [(p.ids, p.prompt_length) for p in cut(Row((0, 1, 2, 3, 4), 5), 3, 0)] == [
        ((0, 1, 2), 3),
        ((0, 3, 4), 3),
    ]
    row = Row((7, 1, 2, 3, 4, 5), 4, ("special", "user", "user", "user", "assistant", "assistant"))
    pieces = list(cut(row, 4, 7))
    assert [(p.ids, p.prompt_length) for p in pieces] == [((7, 1, 2, 3), 4), ((7, 4, 5), 1)]
    assert pieces[1].roles == ("special", "assistant", "assistant")
    assert [p.ids for p in cut(row, 4, 9)] == [(7, 1, 2, 3), (4, 5)]  # the row does not begin with it
    model = build(FAMILIES[0])
    text = tmp_path / "a.txt"
    text.write_text(" ".join(["w1 w2 w3"] * 9))
    whole = model.text(text.read_text())
    model.tokenizer.bos_token = model.tokenizer.convert_ids_to_tokens(whole.ids[0])
    pieces = list(read_corpus(model, text, context=8)(0))
    assert len(pieces) > 2
    assert all(piece.ids[0] == whole.ids[0] for piece in pieces)
    assert whole.ids[1:] == tuple(i for piece in pieces for i in piece.ids[1:])
