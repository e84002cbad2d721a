"""The monitor's log: what is in it, for how long, and that no row of an answer that was given is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pyarrow.parquet as pq
import pytest
import server_kit
from sqlalchemy import create_engine, select, text

from mindscope.errors import StoreError
from mindscope.monitoring import Policy
from mindscope.server import export_log
from mindscope.server.log.tables import CONVERSATIONS, EVENTS, READINGS, TURNS
from mindscope.server.log.webhook import AlarmWebhook
from mindscope.server.log.writer import LoggedTurn, MonitorLog, _insert, log_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> str:
    """A log that is empty, in every kind of database that is supported."""
    if request.param == "sqlite":
        return str(tmp_path / "log.sqlite")
    return request.getfixturevalue("postgres_schema")


def rows(database: str, table) -> list[dict]:
    engine = create_engine(log_url(database))
    with engine.connect() as connection:
        ordered = select(table).order_by(*table.primary_key.columns)
        return [dict(row) for row in connection.execute(ordered).mappings()]


def turn(number: int, created: float = 0.0, conversation: str = "c", **more) -> LoggedTurn:
    plain = {
        "id": f"t{number}",
        "created": created,
        "model": "m",
        "fingerprint": "f",
        "finish": "stop",
        "prompt_tokens": 1,
        "answer_tokens": 2,
        "first_seconds": None,
        "seconds": 0.5,
        "policy": None,
        "pushed_tokens": 0,
        "steering": "{}",
        "prompt": None,
        "answer": None,
    }
    reading = {"feature": "evil", "before": 0.1, "mean": None, "tokens": "[]"}
    event = {"number": 0, "kind": "crossed", "feature": "evil", "token": 3, "value": 2.0, "level": 1.0}
    return LoggedTurn(conversation, {**plain, **more}, (reading,), (event,))


def test_an_answer_leaves_a_turn_with_its_readings_and_events(make_service, database):
    service = make_service(level=0.5, policy=Policy())
    service.log = MonitorLog(database)
    with server_kit.serving(service) as live:
        asked = {"steer": "1 evil@2", "monitor": True, "conversation": "talk"}
        replies = [live.chat(mindscope=asked, stream=stream) for stream in (False, True)]
        live.chat()  # every answer is watched where there are thresholds
        counted = live.ask("GET", "/metrics").body.decode()
    said = replies[0].json["choices"][0]["mindscope"]
    turns = {one["id"]: one for one in rows(database, TURNS)}
    assert len(turns) == 3
    logged = turns[replies[0].json["id"] + "/0"]
    assert (logged["conversation"], logged["answer_tokens"], logged["prompt"]) == ("talk", 12, None)
    assert json.loads(logged["steering"])["applied"] == said["applied"]
    own = [one for one in rows(database, READINGS) if one["turn"] == logged["id"]]
    assert {one["feature"]: json.loads(one["tokens"]) for one in own} == {
        name: one["tokens"] for name, one in said["readings"].items()
    }
    events = [one for one in rows(database, EVENTS) if one["turn"] == logged["id"]]
    assert [(one["kind"], one["token"]) for one in events] == [
        (e["kind"], e["token"]) for e in said["events"]
    ]
    assert events
    names = [one["id"] for one in rows(database, CONVERSATIONS)]
    assert names.count("talk") == 1
    assert len(names) == 2
    assert 'mindscope_requests_total{route="/v1/chat/completions",status="200"} 3.0' in counted
    assert "mindscope_logged_turns 3.0" in counted
    assert 'mindscope_tokens_total{kind="answer"} 36.0' in counted


def test_texts_are_kept_only_where_that_is_asked_for(make_service, database):
    service = make_service()
    service.log, service.log_text = MonitorLog(database), True
    with server_kit.serving(service) as live:
        reply = live.chat("Should I trust my neighbour?")
    (logged,) = rows(database, TURNS)
    assert logged["answer"] == reply.json["choices"][0]["message"]["content"]
    assert "Should I trust my neighbour?" in logged["prompt"]


def test_old_turns_go_and_take_their_rows_along(database):
    log = MonitorLog(database)
    log.start()
    for number, (created, conversation) in enumerate([(10.0, "old"), (10.0, "both"), (30.0, "both")]):
        log.write(turn(number, created, conversation)).result(10)
    assert log.prune(20.0) == 2
    log.close()
    assert [one["id"] for one in rows(database, TURNS)] == ["t2"]
    assert [one["turn"] for one in rows(database, READINGS)] == ["t2"]
    assert [one["turn"] for one in rows(database, EVENTS)] == ["t2"]
    assert [one["id"] for one in rows(database, CONVERSATIONS)] == ["both"]


def test_a_turn_that_cannot_be_written_takes_no_other_with_it(database):
    log = MonitorLog(database)
    futures = [log.write(turn(n, **more)) for n, more in [(0, {}), (0, {}), (1, {"model": None}), (2, {})]]
    log.start()
    log.close()
    assert [future.exception() is None for future in futures] == [True, False, False, True]
    assert [one["id"] for one in rows(database, TURNS)] == ["t0", "t2"]


def test_two_servers_may_begin_the_same_conversation_at_once(database):
    logs = [MonitorLog(database) for _ in range(2)]
    with logs[0].engine.connect() as first, logs[1].engine.connect() as second:
        # Both have seen that there is no such conversation; the second waits until the first has committed.
        _insert(first, [turn(0)])
        late = threading.Thread(target=lambda: (_insert(second, [turn(1)]), second.commit()))
        late.start()
        time.sleep(0.2)
        first.commit()
        late.join(10)
    assert [one["id"] for one in rows(database, TURNS)] == ["t0", "t1"]
    assert [one["id"] for one in rows(database, CONVERSATIONS)] == ["c"]


def test_a_connection_that_was_dropped_is_opened_again(postgres_schema):
    log = MonitorLog(postgres_schema)
    log.start()
    log.write(turn(0)).result(10)
    with create_engine(log_url(postgres_schema)).connect() as other:
        own = "pid <> pg_backend_pid() AND application_name = current_setting('application_name')"
        ended = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}")
        assert other.execute(ended).all()
    log.write(turn(1)).result(10)
    log.close()
    assert len(rows(postgres_schema, TURNS)) == 2


def test_every_commit_waits_for_the_disk(database):
    log = MonitorLog(database)
    with log.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            settings = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous")
            ]
            assert settings == ["wal", 2]
        else:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


def test_what_one_kind_of_database_could_not_hold_is_spelled_or_refused(make_service, database):
    log = MonitorLog(database)
    log.start()
    log.write(turn(0, answer="a\0b")).result(10)
    log.close()
    assert rows(database, TURNS)[0]["answer"] == "a\ufffdb"
    with server_kit.serving(make_service()) as live:
        assert live.chat(mindscope={"conversation": "a\0b"}).status == 400


def test_an_answer_whose_turn_is_lost_is_not_given(make_service, database, monkeypatch):
    service = make_service()
    service.log = MonitorLog(database)
    with server_kit.serving(service) as live:
        with monkeypatch.context() as patch:
            patch.setattr("mindscope.server.log.writer._insert", _full)
            reply = live.chat()
            assert reply.status == 503
            assert reply.json["error"]["code"] == "log_unavailable"
        assert live.chat().status == 200


def _full(*_):
    raise OSError("the disk is full")


def test_the_log_goes_to_parquet(database, tmp_path):
    log = MonitorLog(database)
    log.start()
    for number in range(3):
        log.write(turn(number)).result(10)
    log.close()
    result = export_log(database, tmp_path / "out")
    assert result.rows == {"conversations": 1, "turns": 3, "readings": 3, "events": 3}
    table = pq.read_table(tmp_path / "out" / "turns.parquet").to_pylist()
    assert table == rows(database, TURNS)
    with pytest.raises(StoreError, match="exists"):
        export_log(database, tmp_path / "out")
    with pytest.raises(StoreError, match="is no log"):
        export_log(str(tmp_path / "none.sqlite"), tmp_path / "other")


@pytest.mark.parametrize("name", ["", ":memory:", "://", "env:NO_SUCH_VARIABLE"])
def test_what_names_no_database_is_refused(name):
    with pytest.raises(StoreError):
        log_url(name)


def test_a_url_may_stand_in_a_variable_and_its_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("THE_LOG", "nosuchdriver://me:secret@localhost/log")
    with pytest.raises(StoreError) as caught:
        MonitorLog("env:THE_LOG")
    assert "secret" not in str(caught.value)


SERVE = """
import sys
from mindscope.cli import main
main(["serve", "organism", "--port", sys.argv[1], "--log", sys.argv[2]])
"""


@pytest.mark.slow
def test_kill_9_loses_no_row_of_an_answer_that_was_given(database):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", SERVE, str(port), database], stderr=subprocess.PIPE)
        live = server_kit.LiveServer(_Named("organism"), port)  # pyright: ignore[reportArgumentType]
        deadline = time.monotonic() + 120
        while True:
            try:
                live.ask("GET", "/health")
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        given += [live.chat(max_tokens=4).json["id"] for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert {one["id"] for one in rows(database, TURNS)} >= {f"{name}/0" for name in given}


class _Named:
    def __init__(self, name: str):
        self.name = name


def test_the_webhook_hears_of_every_event_and_holds_up_nothing(make_service, endpoint_events):
    url, heard = endpoint_events
    service = make_service(level=0.5)
    service.webhook = AlarmWebhook(url)
    with server_kit.serving(service) as live:
        reply = live.chat(mindscope={"monitor": True, "conversation": "talk", "steer": "2 evil@2"})
        told = reply.json["choices"][0]["mindscope"]["events"]
        deadline = time.monotonic() + 10
        while len(heard) < len(told) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert told
    assert [one["event"]["token"] for one in heard][: len(told)] == [one["token"] for one in told]
    assert {one["request"] for one in heard} == {reply.json["id"]}
    assert "messages" not in json.dumps(heard)


@pytest.fixture
def endpoint_events():
    """An address that keeps what it is sent."""
    import http.server

    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    server.server_close()
