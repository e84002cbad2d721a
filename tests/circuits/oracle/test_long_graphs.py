"""Graphs whose patterns are made again and whose rows lie on disk are the graphs that are made in memory."""

import circuit_kit
import pytest
import tiny_models
import torch

from mindscope.circuits import DictionaryReplacement, TraceConfig, trace
from mindscope.circuits.attribution import traced_rows
from mindscope.circuits.attribution.row_file import RowFile
from mindscope.models import freeze
from mindscope.models.linear import frozen, patterns

NAMES = ["llama", "gemma2", "gpt_oss", "gpt2"]
"""Grouped queries; soft caps and windows; sinks, whose patterns do not sum to one; biases."""


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, and two or three queries are looked at at a time."""
    monkeypatch.setattr(frozen, "KEPT_BYTES", 0)
    monkeypatch.setattr(patterns, "NUMBERS_AT_ONCE", 80)
    monkeypatch.setattr(traced_rows, "ROWS_IN_MEMORY", 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_from_disk_is_the_graph_from_memory(name: str, monkeypatch, tmp_path):
    model, heard = tiny_models.build_named(name), []
    replacement = DictionaryReplacement(circuit_kit.dictionary(model, cross=True, skip=True))
    config = TraceConfig(max_features=40)
    expected = trace(model, replacement, circuit_kit.ROW, config)
    monkeypatch.setattr(frozen, "KEPT_BYTES", 0)
    monkeypatch.setattr(patterns, "NUMBERS_AT_ONCE", 80)
    monkeypatch.setattr(traced_rows, "ROWS_IN_MEMORY", 0)
    opened: list[RowFile] = []
    monkeypatch.setattr(traced_rows, "RowFile", lambda folder: opened.append(RowFile(folder)) or opened[-1])
    made = trace(model, replacement, circuit_kit.ROW, config, folder=tmp_path, on_forecast=heard.append)
    assert opened[0].n_bytes > 0
    assert not list(tmp_path.iterdir())  # the file has no name
    assert torch.equal(made.features, expected.features)
    for field in ("edges", "biases", "unselected", "unselected_absolute", "preactivations"):
        torch.testing.assert_close(getattr(made, field), getattr(expected, field), atol=2e-6, rtol=1e-5)
    (forecast,) = heard
    assert forecast.rows >= 40
    assert forecast.row_bytes > 0
    assert forecast.graph_bytes >= 4 * made.edges.numel()


def test_patterns_made_again_are_those_that_were_kept(small_limits):
    model = tiny_models.build_named("gpt_oss")
    again = freeze(model, circuit_kit.ROW)
    assert all(record.kept is None for record in again.attention)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "KEPT_BYTES", 2**30)
        kept = freeze(model, circuit_kit.ROW)
    torch.testing.assert_close(again.logits, kept.logits)
    for own, other in zip(again.attention, kept.attention, strict=True):
        assert other.kept is not None
        torch.testing.assert_close(own.pattern, other.kept)
        queries = torch.tensor([4, 1])
        torch.testing.assert_close(own.rows(queries), other.kept[:, :, queries])


@pytest.mark.parametrize("name", NAMES)
def test_of_a_pattern_made_again_only_keys_that_are_seen_are_made(name: str, small_limits):
    held, n_keys = freeze(tiny_models.build_named(name), circuit_kit.ROW), len(circuit_kit.ROW)
    narrow = 0
    for record in held.attention:
        for queries in record.call.split_queries():
            keys, whole = record.call.find_keys(queries), record.rows(queries)
            torch.testing.assert_close(record.rows(queries, keys), whole[..., keys])
            assert keys.stop == queries.stop  # no query looks ahead
            assert not whole[..., : keys.start].any()
            narrow += keys.stop - keys.start < n_keys
    assert narrow


def test_a_file_of_rows_gives_back_what_was_written(tmp_path):
    file, draw = RowFile(tmp_path), torch.Generator().manual_seed(0)
    blocks = [torch.randn(5, 7, generator=draw), torch.randn(3, 4, generator=draw)]
    stored = [file.append(block) for block in blocks]
    for block, own in zip(blocks, stored, strict=True):
        assert torch.equal(own.rows(slice(None), torch.device("cpu")), block)
        assert torch.equal(own.rows(slice(1, 3), torch.device("cpu")), block[1:3])
    assert file.n_bytes == 4 * (35 + 12)
