"""The parts of screening: scores out of turns, streamed means, calibration, filtered copies, the page."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import screening_kit as kit
import torch
from datasets import Dataset, DatasetDict, load_from_disk
from pyarrow import parquet
from scipy.stats import percentileofscore

from mindscope.data import parse_conversation
from mindscope.models import Model
from mindscope.models.tokens.text import token_texts
from mindscope.screening import ScreenConfig, ScreeningResult, screen_dataset, write_filtered
from mindscope.screening.scores import ReferencePercentiles, window_scores
from mindscope.screening.traits import layer_of
from mindscope.screening.windows import WindowReadings, answer_rows
from mindscope.stats.bootstrap import bootstrap_interval
from mindscope.stats.streamed import StreamedMeans
from mindscope.store import Run

PROMPT = ScreenConfig(form="prompt", layers=1, top=2, window=4)


def readings(answer: list[list[float]], counts: list[int]) -> WindowReadings:
    numbers = torch.arange(1, len(counts) + 1)
    values = torch.tensor(answer)
    return WindowReadings(numbers, numbers, torch.tensor(counts), values, values, [None] * len(counts), [], 0)


def test_a_sample_is_its_highest_turn_or_the_mean_of_its_turns() -> None:
    given = readings([[1.0, 5.0], [4.0, 2.0], [3.0, 3.0], [7.0, 7.0]], [3, 1])
    baseline = np.array([[0, 0], [2, 2], [2.5, 0], [np.nan, 1]], np.float32)
    highest = window_scores(given, baseline, "max")
    assert highest.turn.tolist() == [[1, 0], [0, 0]]
    np.testing.assert_array_equal(highest.dp, [[2.0, 5.0], [np.nan, 6.0]])
    np.testing.assert_array_equal(highest.raw, [[4.0, 5.0], [7.0, 7.0]])  # of the same turn
    mean = window_scores(given, baseline, "mean")
    np.testing.assert_allclose(mean.dp, [[3.5 / 3, 8 / 3], [np.nan, 6.0]], rtol=1e-6)
    np.testing.assert_allclose(mean.raw, [[8 / 3, 10 / 3], [7.0, 7.0]], rtol=1e-6)


def test_a_turn_without_a_base_answer_counts_only_where_there_is_no_other() -> None:
    given = readings([[9.0], [4.0]], [2])
    scores = window_scores(given, np.array([[np.nan], [1.0]], np.float32), "max")
    assert scores.turn.tolist() == [[1]]
    assert scores.dp.tolist() == [[3.0]]
    assert scores.means[0, 0] == 3.0


def test_streamed_means_agree_with_the_bootstrap_that_keeps_everything() -> None:
    values = np.random.default_rng(1).exponential(2.0, (600, 2))
    values[::7, 1] = np.nan
    streamed = StreamedMeans(2, 2000, seed=0)
    for start in range(0, 600, 64):
        streamed.add(values[start : start + 64])
    for column, estimate in enumerate(streamed.estimates()):
        known = values[:, column][~np.isnan(values[:, column])]
        low, high = bootstrap_interval(torch.from_numpy(known))
        assert estimate is not None
        assert estimate.mean == pytest.approx(known.mean())
        assert estimate.low == pytest.approx(low, abs=0.15 * (high - low))
        assert estimate.high == pytest.approx(high, abs=0.15 * (high - low))
    assert StreamedMeans(1, 100, seed=0).estimates() == [None]


def test_percentiles_are_those_of_the_calibration() -> None:
    ordinary = np.random.default_rng(2).normal(size=(50, 1)).astype(np.float32)
    values = np.array([[-9.0], [ordinary[7, 0]], [0.1], [9.0], [np.nan]], np.float32)
    calibration = ReferencePercentiles.of(np.concatenate([ordinary, [[np.nan]]]).astype(np.float32))
    found = calibration.percentiles(values)
    expected = [percentileofscore(ordinary[:, 0], value, kind="weak") for value in values[:4, 0]]
    assert found[:4, 0].tolist() == pytest.approx(expected)
    assert np.isnan(found[4, 0])
    assert calibration.at(95) == [pytest.approx(np.percentile(ordinary, 95))]


def test_without_a_word_the_layer_is_at_055_of_the_depth(tiny: Model) -> None:
    (vectors,) = kit.vectors(tiny, "loud")
    assert layer_of(vectors, None) == 1  # of 3
    assert layer_of(vectors, 0) == 0
    assert layer_of(vectors, {"loud": 2}) == 2
    assert layer_of(vectors, {"late": 2}) == 1


def test_what_tokens_add_is_the_text(tiny: Model) -> None:
    text = "é → 猫, naïve 🙂!"
    ids = tiny.tokenizer(text, add_special_tokens=False)["input_ids"]
    texts = token_texts(tiny.tokenizer, ids)
    assert len(texts) == len(ids) == len(text.encode())  # one token a byte
    assert "".join(texts) == text
    assert "猫" in texts


def test_thresholds_come_from_the_reference(tiny: Model, run: Run, tmp_path) -> None:
    data, ordinary = (kit.write(tmp_path / f"{n}.jsonl", kit.chats(n)) for n in (9, 21))
    vectors = kit.vectors(tiny, "loud", "late")
    found = screen_dataset(tiny, data, vectors, PROMPT, run, reference=ordinary)
    alone = screen_dataset(tiny, ordinary, vectors, PROMPT, run)
    within = screen_dataset(tiny, data, vectors, PROMPT, run)
    assert (found.calibration, within.calibration) == ("reference", "within")
    rows = parquet.read_table(run.path / found.folder / "scores.parquet").to_pylist()
    theirs = parquet.read_table(run.path / alone.folder / "scores.parquet")
    for trait in ("loud", "late"):
        values = theirs[f"{trait}_dp"].to_numpy()
        threshold = np.percentile(values, 95)
        assert found.of(trait).threshold == pytest.approx(threshold, abs=1e-5)
        assert found.of(trait).ordinary == pytest.approx(np.median(values), abs=1e-5)
        assert [row[f"{trait}_flag"] for row in rows] == [row[f"{trait}_dp"] > threshold for row in rows]
        assert found.of(trait).flagged == sum(row[f"{trait}_flag"] for row in rows)
    assert [row["flagged"] for row in rows] == [row["loud_flag"] or row["late_flag"] for row in rows]
    assert [row["id"] for row in rows] == [f"c{i}" for i in range(9)]
    assert ScreeningResult.load(run.path / found.folder / "screening.json") == found
    page = (run.path / within.folder / "report.html").read_text()
    assert "No ordinary data set was given" in page
    assert page.count('<p class="said heat">') == 4  # the two highest on each trait


def kept_rows(run: Run, screening: ScreeningResult, limit: float) -> list[int]:
    table = parquet.read_table(run.path / screening.folder / "scores.parquet").to_pylist()
    return [row["row"] for row in table if row["loud_percentile"] <= limit]


PAIRS = [{"prompt": f"Question {i}?", "response": f'Answer "{i * i}"\nand more', "n": i} for i in range(12)]


def write_pairs(kind: str, path):
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row, indent=None) + "\n\n" for row in PAIRS).rstrip("\n"))
    elif kind == "csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(PAIRS[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(PAIRS)
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(PAIRS), path)
    elif kind == "splits":
        DatasetDict({"train": Dataset.from_list(PAIRS)}).save_to_disk(str(path))
    else:
        Dataset.from_list(PAIRS).save_to_disk(str(path))


def read_pairs(kind: str, path) -> list[dict]:
    if kind == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines() if line]
    if kind == "csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [row | {"n": int(row["n"])} for row in csv.DictReader(file)]
    if kind == "parquet":
        return parquet.read_table(path).to_pylist()
    loaded = load_from_disk(str(path))
    return list(loaded["train"] if kind == "splits" else loaded)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "folder", "splits"])
def test_a_filtered_copy_holds_the_rows_that_pass_as_they_were(tiny: Model, run: Run, tmp_path, kind) -> None:
    suffix = f".{kind}" if kind in ("jsonl", "csv", "parquet") else ""
    source, target = tmp_path / f"data{suffix}", tmp_path / f"kept{suffix}"
    write_pairs(kind, source)
    before = [file.read_bytes() for file in sorted([source, *source.rglob("*")]) if file.is_file()]
    found = screen_dataset(tiny, source, kit.vectors(tiny, "loud"), PROMPT, run)
    assert found.samples == 12
    count = write_filtered(run, found, source, target, drop_above=60)
    kept = kept_rows(run, found, 60)
    assert 0 < count == len(kept) < 12
    assert read_pairs(kind, target) == [PAIRS[number - 1] for number in kept]
    assert [file.read_bytes() for file in sorted([source, *source.rglob("*")]) if file.is_file()] == before
    if kind == "csv":
        assert target.read_bytes().splitlines()[0] == source.read_bytes().splitlines()[0]


def test_keep_below_is_in_units_of_the_activations(tiny: Model, run: Run, tmp_path) -> None:
    data = kit.write(tmp_path / "data.jsonl", kit.chats(9))
    found = screen_dataset(tiny, data, kit.vectors(tiny, "loud", "late"), PROMPT, run)
    table = parquet.read_table(run.path / found.folder / "scores.parquet").to_pylist()
    limit = float(np.median([max(row["loud_dp"], row["late_dp"]) for row in table]))
    write_filtered(run, found, data, tmp_path / "kept.jsonl", keep_below=limit)
    lines = data.read_bytes().splitlines(keepends=True)
    expected = [lines[row["row"] - 1] for row in table if max(row["loud_dp"], row["late_dp"]) < limit]
    assert (tmp_path / "kept.jsonl").read_bytes() == b"".join(expected)
    assert len(expected) == 4


def test_conversations_in_memory_are_screened_like_a_file(tiny: Model, run: Run, tmp_path) -> None:
    from mindscope.data import read_conversations

    path = kit.write(tmp_path / "data.jsonl", kit.CHATS)
    rows = list(read_conversations(path))
    tables = [
        parquet.read_table(
            run.path
            / screen_dataset(tiny, data, kit.vectors(tiny, "loud"), PROMPT, run).folder
            / "scores.parquet"
        )
        for data in (path, rows)
    ]
    assert tables[0].equals(tables[1])


def test_turns_of_weight_0_are_read_and_not_scored(tiny: Model) -> None:
    """Such as calls of tools, which no training learns."""
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "ask", "arguments": {}}]},
        {"role": "tool", "content": "4 degrees"},
        {"role": "assistant", "content": "Cold."},
    ]
    (row,) = answer_rows(tiny, parse_conversation({"messages": turns}))
    assert tiny.decode(row.answer) == "Cold."
    assert "<tool_call>" in tiny.decode(row.ids)
    assert "4 degrees" in tiny.decode(row.ids)
