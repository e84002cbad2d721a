"""Clients that leave, a full queue, memory that runs out, a step that fails; nothing of them stays."""

import gc
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import server_kit
import torch
from tiny_models import hooks_on

from mindscope.models.generation.request import GenerationHandle
from mindscope.models.generation.slots import SlotTables
from mindscope.monitoring import WatchedAnswer
from mindscope.server.api.answering import RequestAnswers
from mindscope.server.engine.answer_job import AnswerJob


def test_a_client_that_leaves_a_hundred_times_leaves_nothing(make_service, organism):
    before = hooks_on(organism)
    with server_kit.serving(make_service(slots=4, prefix_tokens=0)) as live:
        live.chat(mindscope={"steer": "1 evil", "monitor": ["kind"]})
        monitors = [
            live.service.planner.monitor,
            *(monitor for monitor, _ in live.service.planner._monitors.values()),
        ]
        for i in range(100):
            body = json.dumps(
                {
                    "model": "organism",
                    "messages": [{"role": "user", "content": "Tell me all."}],
                    "stream": i % 2 == 0,
                    "max_tokens": 400,
                    "temperature": 0,
                    "mindscope": {"steer": "0.1 evil[all]", "monitor": ["kind"]},
                }
            ).encode()
            with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
                client.sendall(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                if i % 2 == 0:
                    assert b" 200 " in client.recv(200)
        live.settle()
        scheduler = live.service.scheduler
        assert (scheduler.n_open, scheduler.n_live, len(scheduler._jobs)) == (0, 0, 0)
        assert scheduler._batch._tables is None
        assert all(monitor.n_watched == 0 for monitor in monitors if monitor is not None)
        assert hooks_on(organism) == before
        assert live.chat().status == 200
        live.settle()
        # Of a hundred answers that nobody waited for, not a request, a cache or a reading is kept.
        kept = (RequestAnswers, AnswerJob, GenerationHandle, SlotTables, WatchedAnswer)
        deadline = time.monotonic() + 10
        while left := [type(one).__name__ for one in _alive(kept)]:
            assert time.monotonic() < deadline, Counter(left)
            time.sleep(0.1)


def _alive(kinds: tuple[type, ...]) -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, kinds)]


def test_a_full_queue_says_when_to_come_back(make_service):
    with server_kit.serving(make_service(slots=1, queue=1)) as live, ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: live.chat(max_tokens=40), range(6)))
        statuses = [reply.status for reply in replies]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 2
        for reply in replies:
            if reply.status == 503:
                assert int(reply.headers["retry-after"]) >= 1
                assert reply.json["error"]["code"] == "queue_full"
        live.settle()
        assert live.chat().status == 200


def test_memory_that_runs_out_is_answered_and_survived(make_service, monkeypatch):
    service = make_service(slots=4)
    with server_kit.serving(service) as live, ThreadPoolExecutor(4) as pool:
        real = type(service.scheduler._batch)._feed

        fed: list[int] = []
        deadline = time.monotonic() + 60

        def feed(batch, tables, tokens):
            while not fed and service.scheduler.n_open < 4 and time.monotonic() < deadline:
                time.sleep(0.01)  # until all four are there, whatever else the machine does
            if fed and len(tables.lines) > 2:  # some have begun, and those are told
                raise torch.OutOfMemoryError("CUDA out of memory")
            fed.append(len(tables.lines))
            return real(batch, tables, tokens)

        monkeypatch.setattr(type(service.scheduler._batch), "_feed", feed)
        replies = list(pool.map(lambda _: live.chat(max_tokens=30, temperature=0), range(4)))
        assert {reply.status for reply in replies} <= {200, 503}
        codes = [reply.json["error"]["code"] for reply in replies if reply.status == 503]
        assert codes
        assert set(codes) == {"out_of_memory"}
        assert service.scheduler.slots == 2
        assert [reply.status for reply in pool.map(lambda _: live.chat(), range(4))] == [200] * 4


def test_a_failing_step_fails_its_answers_alone(make_service, monkeypatch, caplog):
    service = make_service()
    with server_kit.serving(service) as live:

        def fail(_batch):
            raise RuntimeError("a secret of the model")

        with monkeypatch.context() as patch:
            patch.setattr(type(service.scheduler._batch), "step", fail)
            reply = live.chat()
        assert reply.status == 500
        assert reply.json["error"]["message"] == "the answer failed: RuntimeError"
        assert "a secret of the model" in caplog.text  # whoever runs the server is told why
        assert live.chat().status == 200
