"""Gates, comparisons and trainings as the workbench's routes tell and start them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import server_kit
from verdict_kit import difference, gate, keep_tune, keep_verdicts, remedies
from workbench_kit import keep_vectors, write_conversations

from mindscope.jobs import build_config, find_job
from mindscope.models import Model
from mindscope.personas import PersonaVectors
from mindscope.server.workbench.workers import WorkerPool
from mindscope.store import Run


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory, organism: Model, vectors: dict[str, PersonaVectors]
) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_verdicts(folder, organism.fingerprint)
    keep_vectors(folder, vectors)
    (folder / "uploads").mkdir()
    write_conversations(folder / "uploads" / "some.jsonl", ["Yes.", "No."])
    return folder


def get(live: server_kit.LiveServer, path: str) -> server_kit.Reply:
    return live.ask("GET", f"/v1/workbench/{path}")


def test_what_was_judged_and_compared_is_listed(live: server_kit.LiveServer):
    told = get(live, "comparisons")
    assert told.status == 200, told.body
    cards = {one["run"]: one for one in told.json["comparisons"]}
    assert set(cards) == {"judged", "compared"}
    assert cards["judged"]["failing"] == ["behaviour/evil"]
    assert cards["judged"]["remedies"] is True
    assert (cards["compared"]["claims"], cards["compared"]["verified"]) == (2, 1)


def test_documents_are_told_as_they_were_saved(live: server_kit.LiveServer, organism: Model):
    mark = organism.fingerprint
    assert get(live, "gate?run=judged").json == gate(mark).to_json()
    assert get(live, "remedy?run=judged").json == remedies().to_json()
    assert get(live, "difference?run=compared").json == difference(mark).to_json()


@pytest.mark.parametrize("path", ["gate?run=compared", "remedy?run=compared", "difference?run=judged",
                                  "gate?run=nobody", "gate?run=../judged", "shift?run=judged"])  # fmt: skip
def test_what_a_run_does_not_hold_is_not_found(live: server_kit.LiveServer, root: Path, path: str):
    reply = get(live, path)
    assert reply.status == 404
    assert str(root) not in reply.json["error"]["message"]


def test_a_damaged_document_is_left_out_of_the_list_and_said_where_it_is_asked(
    live: server_kit.LiveServer, root: Path, organism: Model
):
    with Run.open(root / "torn", kind="gate", config={}, fingerprint=organism.fingerprint):
        (root / "torn" / "gate.json").write_text('{"schema": "mindscope.gate/1", "verdict": 3}')
    assert "torn" not in {one["run"] for one in get(live, "comparisons").json["comparisons"]}
    assert get(live, "gate?run=torn").status == 404


def test_tunes_and_shifts_are_listed(live: server_kit.LiveServer, root: Path):
    with Run.open(root / "foreign", kind="finetune", config={}):
        keep_tune(root / "foreign", "9" * 64)
    told = get(live, "training").json
    tunes = {one["run"]: one for one in told["tunes"]}
    assert tunes["tuned"]["of_served"] is True
    assert tunes["tuned"]["losses"] == [2.0, 1.5, 1.0]
    assert tunes["foreign"]["of_served"] is False
    assert [(one["run"], one["models"], one["traits"]) for one in told["shifts"]] == [
        ("moved", 3, ["evil", "kind"])
    ]
    ends = [(end["trait"], end["layer"], end["shift"]) for end in told["shifts"][0]["ended"]]
    assert ends == [("evil", 2, 18.0), ("kind", 2, -6.0)]


@pytest.mark.parametrize(
    ("path", "body", "job", "expected"),
    [
        ("gates", {"tune": "tuned", "data": "some.jsonl", "traits": ["evil"]}, "gate run", {"judge": None}),
        (
            "differences",
            {"tune": "tuned", "nulls": 2},
            "diff",
            {"null": ["make", "make"], "quick_look": True},
        ),
        ("shifts", {"tune": "tuned", "traits": ["evil", "kind"]}, "persona shift", {"answers": True}),
        (
            "tunings",
            {"data": "some.jsonl", "learning_rate": 3e-4, "steps": 5, "prevent": ["evil"]},
            "persona finetune",
            {"steps": 5, "learning_rate": 3e-4},
        ),
    ],
)
def test_what_is_started_is_a_specification_of_its_job(
    live: server_kit.LiveServer,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body,
    job: str,
    expected,
):

    started = []
    monkeypatch.setattr(
        WorkerPool, "start", lambda _pool, title, run, steps: started.append(steps) or _job(title, run)
    )
    assert live.ask("POST", f"/v1/workbench/{path}", body).status == 200
    ((step,),) = started
    assert step.job == job
    plain = json.loads(json.dumps(step.spec, default=str))
    spec = build_config(get_type_hints(find_job(job))["spec"], plain)
    for field, value in expected.items():
        assert plain[field] == value
    if job != "persona finetune":
        assert str(spec.base) == "organism"
        assert str(root / "tuned" / "finetune" / "model") in str(spec.tuned)


def _job(title: str, run: str) -> SimpleNamespace:
    known = {"number": 1, "title": title, "run": run, "state": "done", "began": 0.0, "ended": 1.0}
    return SimpleNamespace(**known, done=0, total=0, label="", lines=[], error=None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("gates", {"tune": "nobody", "data": "some.jsonl", "traits": ["evil"]}),
        ("gates", {"tune": "tuned", "data": "nothing.jsonl", "traits": ["evil"]}),
        ("gates", {"tune": "tuned", "data": "some.jsonl", "traits": ["nobody"]}),
        ("gates", {"tune": "../tuned", "data": "some.jsonl", "traits": ["evil"]}),
        ("shifts", {"tune": "foreign", "traits": ["evil"]}),
        ("differences", {"tune": "judged"}),
        ("tunings", {"data": "some.jsonl", "prevent": ["nobody"]}),
        ("tunings", {"data": "../x.jsonl"}),
    ],
)
def test_what_cannot_be_started_is_refused_in_one_line(live: server_kit.LiveServer, path: str, body):
    reply = live.ask("POST", f"/v1/workbench/{path}", body)
    assert reply.status in (400, 404)
    assert "\n" not in reply.json["error"]["message"]
    assert get(live, "jobs").json["jobs"] == []
