"""What a job's folder fixes for all of its starts: the day that templates see, and which model it is."""

import json
import re
from datetime import datetime
from pathlib import Path

import job_kit
import persona_kit
import pytest

from mindscope.circuits import AttributionGraph
from mindscope.jobs import RunFolder
from mindscope.jobs.circuit import TraceSpec, trace
from mindscope.jobs.dictionary import (
    EvaluateDictionariesSpec,
    RecordSpec,
    TrainDictionariesSpec,
    evaluate,
    record,
    train,
)
from mindscope.jobs.feature import SurveySpec, survey
from mindscope.models import load
from mindscope.store import find_start

DATED = "{{ strftime_now('%Y-%m-%d') }}\n" + persona_kit.TEMPLATE
FAST = {"n_latents": 40, "k": 3, "steps": 4, "batch_tokens": 32, "buffer_batches": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose template writes the date in front of every chat."""
    folder = persona_kit.tiny_chat_model(tmp_path_factory.mktemp("tiny"), n_layers=2)
    (folder / "chat_template.jinja").write_text(DATED)
    assert load(folder).template is not None
    return str(folder)


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "chats.jsonl"
    rows = ({"prompt": f"{i} apples?", "response": f"And {i * i} pears."} for i in range(20))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Of a run that was begun on an earlier day."""
    folder = RunFolder(tmp_path / "run")
    folder.__dict__["started"] = datetime(1999, 1, 1)
    return folder


def test_a_folder_begins_when_its_run_did_and_keeps_the_time(tmp_path: Path):
    first = RunFolder(tmp_path / "run")
    started = first.started
    with first.open(kind="test", config={}, reporter=job_kit.RecordingReporter()) as opened:
        assert opened.started == started
    assert RunFolder(tmp_path / "run").started == find_start(tmp_path / "run") == started


def test_a_run_says_which_model_it_reads(model: str, tmp_path: Path):
    folder, loaded = RunFolder(tmp_path / "run"), load(model)
    with folder.open(kind="test", config={}, reporter=job_kit.RecordingReporter(), model=loaded) as opened:
        assert opened.fingerprint == loaded.fingerprint
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["identity"] == loaded.identity.model_dump(mode="json")
    assert record["identity"]["name"] == model


def test_a_graph_of_a_chat_is_of_the_day_on_which_its_run_began(model: str, run: RunFolder):
    spec = TraceSpec(model=model, prompt="Which apples?", chat=True)
    trace(spec, run=run, reporter=job_kit.RecordingReporter())
    graph = AttributionGraph.load(run.path / "graph.safetensors")
    assert "1999-01-01" in load(model).decode(graph.ids)


@pytest.fixture
def texts_read(monkeypatch: pytest.MonkeyPatch, model: str) -> list[str]:
    """What a job lets a model read that has a date: invented tokens, by which it is timed, have none."""
    texts, loaded = [], load(model)

    def read(self, rows, *args, **options):
        read_now = [loaded.decode(row.ids) for row in rows]
        texts.extend(text for text in read_now if re.search(r"\d{4}-\d\d-\d\d", text))
        return plain(self, rows, *args, **options)

    plain = type(loaded).read
    monkeypatch.setattr(type(loaded), "read", read)
    return texts


def test_corpora_are_read_as_on_the_day_on_which_the_run_began(
    model: str, chats: str, run: RunFolder, tmp_path: Path, texts_read: list[str]
):
    reporter = job_kit.RecordingReporter()
    train(TrainDictionariesSpec(model=model, corpus=chats, layers=(1,), **FAST), run=run, reporter=reporter)
    runs = {}
    for name in ("record", "evaluate", "survey"):
        runs[name] = RunFolder(tmp_path / name)
        runs[name].__dict__["started"] = datetime(1999, 1, 1)
    record(
        RecordSpec(model=model, corpus=chats, sites="resid_post.1", tokens=64),
        run=runs["record"],
        reporter=reporter,
    )
    known = str(run.path / "resid_post.1.safetensors")
    evaluate(
        EvaluateDictionariesSpec(model=model, corpus=chats, dictionaries=(known,), rows=4),
        run=runs["evaluate"],
        reporter=reporter,
    )
    survey(
        SurveySpec(model=model, dictionary=known, corpus=chats, rows=4), run=runs["survey"], reporter=reporter
    )
    assert len(texts_read) > 20
    assert all("1999-01-01" in text for text in texts_read)
