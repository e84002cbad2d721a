"""Runs, traits and data as the workbench's routes tell them."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
import server_kit
import torch
from workbench_kit import HOSTILE, keep_study, keep_vectors, write_conversations

from mindscope.personas import PersonaVectors
from mindscope.server.workbench.desks.histograms import bin_scores
from mindscope.server.workbench.routes import WorkbenchPlace
from mindscope.server.workbench.shelf import PageTickets
from mindscope.server.workbench.workers import JobStep, StartedJob, WorkerPool
from mindscope.store import Run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, PersonaVectors]) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_vectors(folder, vectors)
    return folder


@pytest.fixture(scope="module")
def live(make_service, root: Path) -> Iterator[server_kit.LiveServer]:
    place = WorkbenchPlace(root, {"model": "organism", "dtype": "float32"})
    with server_kit.serving(make_service(), workbench=place, token="secret") as live:
        yield live


def ask(live: server_kit.LiveServer, method: str, path: str, body=None, **headers: str) -> server_kit.Reply:
    return live.ask(method, f"/v1/workbench/{path}", body, {"Authorization": "Bearer secret", **headers})


def put(live: server_kit.LiveServer, name: str, content: bytes) -> server_kit.Reply:
    return ask(live, "PUT", f"data/{name}", content, **{"Content-Type": "application/octet-stream"})


def test_runs_are_told_with_their_state_pages_and_measurements(live: server_kit.LiveServer, root: Path):
    told = ask(live, "GET", "runs").json
    assert {run["name"]: run["status"] for run in told["runs"]} == {"evil": "done", "kind": "done"}
    run = ask(live, "GET", "runs/evil").json
    assert run["pages"] == ["report.html"]
    assert [row["loss"] for row in run["metrics"]] == [2.0, 1.0]
    assert run["config"] == {"dtype": "float32"}
    with (root / "evil" / "metrics.jsonl").open("a") as log:
        log.write('{"loss": 0.5}\n{"lo')  # a line that is being written
    assert [row["loss"] for row in ask(live, "GET", "runs/evil").json["metrics"]] == [2.0, 1.0, 0.5]


def test_a_record_or_measurement_nested_600_deep_is_listed_as_damaged_or_left_out(
    live: server_kit.LiveServer, root: Path
):
    deep = '{"a":' * 600 + "1" + "}" * 600
    folder = root / "deep"
    with Run.open(folder, kind="extract", config={}) as run:
        run.log(loss=1.0)
    with (folder / "metrics.jsonl").open("a") as log:
        log.write(f'{{"loss": {deep}}}\n{{"loss": NaN}}\n{{"loss": 0.5}}\n')
    try:
        assert [row["loss"] for row in ask(live, "GET", "runs/deep").json["metrics"]] == [1.0, 0.5]
        record = (folder / "run.json").read_text()
        (folder / "run.json").write_text(record.replace('"config": {}', f'"config": {deep}'))
        told = ask(live, "GET", "runs")
        assert told.status == 200
        assert {run["name"]: run["status"] for run in told.json["runs"]}["deep"] == "damaged"
        assert ask(live, "GET", "runs/deep").json["status"] == "damaged"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["nobody", "..", "../evil", "evil/..", "%2e%2e%2fevil", "evil/extract"])
def test_what_is_no_run_is_not_found(live: server_kit.LiveServer, name: str):
    assert ask(live, "GET", f"runs/{name}").status == 404


def test_a_page_is_shown_by_ticket_and_can_do_nothing(live: server_kit.LiveServer):
    address = ask(live, "POST", "pages", {"run": "evil", "page": "report.html"}).json["address"]
    page = live.ask("GET", address)  # a frame sends no token
    assert page.status == 200
    assert b"Page of evil" in page.body
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "script-src 'sha256-" in policy
    assert live.ask("GET", address[:-1] + ("a" if address[-1] != "a" else "b")).status == 404


@pytest.mark.parametrize(
    "page", ["run.json", "../kind/report.html", "/etc/passwd", "extract", "nothing.html"]
)
def test_only_a_run_s_own_pages_are_shown(live: server_kit.LiveServer, page: str):
    assert ask(live, "POST", "pages", {"run": "evil", "page": page}).status == 404


def test_a_page_through_a_link_out_of_the_run_is_none(
    live: server_kit.LiveServer, root: Path, tmp_path: Path
):
    (tmp_path / "secret.html").write_text("secret")
    link = root / "kind" / "linked.html"
    link.symlink_to(tmp_path / "secret.html")
    try:
        assert ask(live, "GET", "runs/kind").json["pages"] == ["report.html"]
        assert ask(live, "POST", "pages", {"run": "kind", "page": "linked.html"}).status == 404
    finally:
        link.unlink()


def test_a_ticket_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    tickets = PageTickets()
    ticket = tickets.issue(tmp_path / "page.html")
    assert tickets.find(ticket) == tmp_path / "page.html"
    monkeypatch.setattr("mindscope.server.workbench.shelf.time.monotonic", lambda: 1e12)
    assert tickets.find(ticket) is None


def test_traits_have_norms_by_layer_and_cosines(
    live: server_kit.LiveServer, vectors: dict[str, PersonaVectors]
):
    told = ask(live, "GET", "traits").json
    evil = next(trait for trait in told["traits"] if trait["name"] == "evil")
    norms = vectors["evil"].answer_mean.double().norm(dim=1)
    assert [layer["norm"] for layer in evil["layers"]] == pytest.approx(norms.tolist(), rel=1e-6)
    assert evil["written_at"] == ["resid_post.2"]
    assert told["kept"] == []  # the runs hold the very vectors that the server has
    assert {trait["name"] for trait in told["known"]} >= {"organism:evil"}
    similar = ask(live, "GET", "similarity").json
    expected = torch.nn.functional.cosine_similarity(
        vectors["evil"].answer_mean, vectors["kind"].answer_mean, dim=1
    )
    assert [layer[0][1] for layer in similar["cosines"]] == pytest.approx(expected.tolist(), abs=1e-3)


def test_data_is_taken_described_and_deleted(live: server_kit.LiveServer, root: Path, tmp_path: Path):
    content = write_conversations(tmp_path / "some.jsonl", ["Yes.", "No."]).read_bytes()
    taken = put(live, "some.jsonl", content)
    assert taken.status == 200
    assert "2 rows" in taken.json["description"]
    assert str(root) not in taken.json["description"]
    assert put(live, "some.jsonl", content).status == 400  # nothing is overwritten
    assert ask(live, "DELETE", "data/some.jsonl").json["data"] == []
    assert ask(live, "DELETE", "data/some.jsonl").status == 404


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"{not json", "a.jsonl"),
        ("a.parquet", b"PAR1 and nothing", "a.parquet"),
        ("a.jsonl", b"\xff\xfe\x00", "a.jsonl"),
        ("a.jsonl", b"", "a.jsonl"),
        ("a.pkl", b"\x80\x04.", "match"),
        (".hidden.jsonl", b"{}", "match"),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_kept(
    live: server_kit.LiveServer, root: Path, name: str, content: bytes, says: str
):
    reply = put(live, name, content)
    assert reply.status == 400
    message = json.loads(reply.body)["error"]["message"]
    assert says in message
    assert str(root) not in message
    assert not (root / "uploads" / name).exists()


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("extractions", {}, "one of"),
        ("extractions", {"positive": "kind"}, "opposite"),
        ("extractions", {"known": "../../etc/passwd"}, "no trait"),
        ("extractions", {"known": "evil", "name": "x", "description": "y"}, "one of"),
        ("extractions", {"positive": "a/b", "negative": "c"}, "positive"),
        ("screenings", {"data": "nothing.jsonl", "traits": ["evil"]}, "no data"),
        ("screenings", {"data": "../run.jsonl", "traits": ["evil"]}, "data"),
        ("sweeps", {"run": "nobody"}, "no run"),
        ("vectors", {"run": "evil", "trait": "nobody"}, "nobody"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(live: server_kit.LiveServer, path: str, body, says: str):
    reply = ask(live, "POST", path, body)
    assert reply.status in (400, 404)
    message = json.loads(reply.body)["error"]["message"]
    assert says in message
    assert "\n" not in message
    assert ask(live, "GET", "jobs").json["jobs"] == []


def test_without_a_folder_nothing_is_started(make_service):
    with server_kit.serving(make_service(), workbench=WorkbenchPlace()) as bare:
        assert bare.ask("GET", "/v1/workbench/runs").json == {"folder": False, "runs": []}
        reply = bare.ask("POST", "/v1/workbench/extractions", {"positive": "kind", "negative": "cold"})
        assert reply.status == 400
        assert "--runs" in reply.json["error"]["message"]


def test_histograms_are_shares_of_the_data_and_of_the_reference():
    data, reference = np.array([0.0, 0.0, 0.0, 10.0]), np.array([5.0, 10.0])
    bins = bin_scores(data, reference)
    assert sum(one.data for one in bins) == pytest.approx(1)
    assert sum(one.reference or 0 for one in bins) == pytest.approx(1)
    assert (bins[0].low, bins[-1].high) == (0, 10)
    assert bins[0].data == 0.75
    assert (bins[-1].data, bins[-1].reference) == (0.25, 0.5)
    assert all(one.reference is None for one in bin_scores(data, None))
    assert bin_scores(np.array([]), None) == []


def test_texts_of_runs_are_told_as_they_are(live: server_kit.LiveServer):
    address = ask(live, "POST", "pages", {"run": "kind", "page": "report.html"}).json["address"]
    assert HOSTILE.encode() not in live.ask("GET", address).body  # a report escapes it


def test_half_a_character_is_told_as_its_escape(
    make_service, vectors: dict[str, PersonaVectors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """JSON may hold it, and a folder's name may be no UTF-8; neither can be sent as it is."""
    half, told = "a \ud800 b", "a \\ud800 b"
    name = os.fsdecode(b"run-\xff")
    with Run.open(tmp_path / name, kind=half, config={"said": [half]}, command=(half,)) as run:
        run.log(text=half)
    keep_vectors(tmp_path, {"half": replace(vectors["evil"], trait=half)})
    keep_study(tmp_path / "study", half)

    def start(pool: WorkerPool, title: str, run: str, _steps: list[JobStep]) -> StartedJob:
        said = {"say": half}, {"progress": [1, 2, half]}, {"error": half}
        process = SimpleNamespace(stdout=map(json.dumps, said), wait=lambda *_: 1)
        pool._jobs[1] = job = StartedJob(1, title, run, process)  # type: ignore[arg-type]
        pool._listen(job)
        return job

    monkeypatch.setattr(WorkerPool, "start", start)
    with server_kit.serving(make_service(), workbench=WorkbenchPlace(tmp_path)) as live:

        def get(path: str) -> server_kit.Reply:
            reply = live.ask("GET", f"/v1/workbench/{path}")
            assert reply.status == 200, (path, reply.body)
            return reply

        cards = {run["name"]: run for run in get("runs").json["runs"]}
        assert {*cards} == {"run-\\udcff", "half", "study"}
        assert cards["run-\\udcff"]["kind"] == told
        run = get(f"runs/{quote('run-' + chr(92) + 'udcff')}").json
        assert (run["config"], run["command"]) == ({"said": [told]}, [told])
        assert run["metrics"][0]["text"] == told
        assert get("traits").json["kept"] == [{"run": "half", "trait": told}]
        assert get("study?run=study").json["claims"][0]["measured"] == told
        assert live.ask("POST", "/v1/workbench/extractions", {"known": "organism:evil"}).status == 200
        (job,) = get("jobs").json["jobs"]
        assert (job["lines"], job["label"], job["error"]) == ([told], told, told)
        for path in ("graphs", "screenings", "training", "comparisons", "sweeps", "studies", "audit/list"):
            get(path)


def test_claims_of_studies_are_told(live: server_kit.LiveServer, root: Path):
    claims = keep_study(root / "study")
    (root / "study" / "a.json").write_text(json.dumps({"claims": [{"sentence": "of another shape"}]}))
    (root / "study" / "b.json").write_text("{torn")
    (card,) = ask(live, "GET", "studies").json["studies"]
    assert (card["run"], card["hold"], card["fail"], card["reported"]) == ("study", 1, 1, 1)
    assert ask(live, "GET", "study?run=study").json["claims"] == claims
    assert ask(live, "GET", "study?run=kind").json["claims"] == []
    assert ask(live, "GET", "study?run=nobody").status == 404
