"""Mixed load on a server in a process of its own: what it answers, its memory, and what its log holds."""

import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from sqlalchemy import create_engine, select

from mindscope.server.log.tables import READINGS, TURNS
from mindscope.server.log.writer import log_url

_SERVE = """
import sys
from mindscope.cli import main
main(["serve", *sys.argv[1:]])
"""
_PAUSE = 0.25
"""Seconds between two looks at the memory."""

Json = dict[str, Any]


@dataclass
class LoadFigures:
    """What came of a load.

    Attributes:
        statuses: how often each status was answered; 0 for a client that left.
        answers: the names of answers that were given, as the log has them.
        monitored: those among them with readings.
        firsts: seconds to the first text of each stream.
        memory: resident bytes of the server, by the second since the load began.
        wrong: replies that are not what they should be.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    answers: set[str] = field(default_factory=set)
    monitored: set[str] = field(default_factory=set)
    firsts: list[float] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def growth(self, warm_up: float) -> float:
        """The highest memory of the last tenth over that of the first tenth after warming up, less 1."""
        end = self.memory[-1][0]
        tenth = (end - warm_up) / 10
        early = max(size for when, size in self.memory if warm_up <= when <= warm_up + tenth)
        return max(size for when, size in self.memory if when >= end - tenth) / early - 1

    def p95(self) -> float:
        """Of the seconds to a first text."""
        ordered = sorted(self.firsts)
        return ordered[int(0.95 * (len(ordered) - 1))]


@contextmanager
def server_process(model: str, *options: str) -> Iterator[tuple[int, psutil.Process]]:
    """`mindscope serve` on a free port of this machine; its port and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, model, "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                if _ask(port, "GET", "/health", None)[0] == 200:
                    break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield port, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def put_load(port: int, process: psutil.Process, seconds: float, n_clients: int) -> LoadFigures:
    """Ask in every way for some seconds, by clients each of which asks one request after the other."""
    figures, lock = LoadFigures(), threading.Lock()
    model = json.loads(_ask(port, "GET", "/v1/models", None)[1])["data"][0]["id"]
    width = _model_width(port)
    for i in range(4):
        vector = random.Random(i)
        values = [0.1 * vector.gauss(0, 1) for _ in range(width)]
        body = {"vectors": {"resid_post.1": values}}
        assert _ask(port, "PUT", f"/v1/mindscope/vectors/load{i}", body)[0] in (200, 201)
    begin = time.monotonic()

    def work(number: int) -> None:
        draw = random.Random(number)
        while time.monotonic() - begin < seconds:
            way = draw.choice(_WAYS)
            try:
                way(port, model, draw, figures, lock)
            except (OSError, http.client.HTTPException, AssertionError, KeyError, ValueError) as error:
                with lock:
                    figures.wrong.append(f"{way.__name__}: {error!r}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        figures.memory.append((time.monotonic() - begin, process.memory_info().rss))
        time.sleep(_PAUSE)
    return figures


def lost_rows(database: str, figures: LoadFigures) -> tuple[int, int]:
    """Answers that were given and have no turn in the log, and monitored ones that have no readings."""
    engine = create_engine(log_url(database))
    with engine.connect() as connection:
        turns = set(connection.execute(select(TURNS.c.id)).scalars())
        read = set(connection.execute(select(READINGS.c.turn)).scalars())
    engine.dispose()
    return len(figures.answers - turns), len(figures.monitored - read)


def _ask(port: int, method: str, path: str, body: Json | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        raw = None if body is None else json.dumps(body)
        connection.request(method, path, raw, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def _model_width(port: int) -> int:
    return json.loads(_ask(port, "GET", "/v1/mindscope/capabilities", None)[1])["d_model"]


def _chat(model: str, draw: random.Random, **more: Any) -> Json:
    text = f"Tell me all about number {draw.randrange(1000)}, and why."
    messages = [{"role": "user", "content": text * draw.choice((1, 1, 1, 8))}]
    return {"model": model, "messages": messages, "max_tokens": draw.choice((4, 16, 48)), **more}


def _steering(draw: random.Random) -> Json:
    asked: Json = {"conversation": f"c{draw.randrange(20)}"}
    if draw.random() < 0.7:
        asked["steer"] = (
            f"{draw.uniform(-1, 1):.2f} load{draw.randrange(4)}[{draw.choice(('all', 'answer'))}]"
        )
    if draw.random() < 0.7:
        asked["monitor"] = draw.sample([f"load{i}" for i in range(4)], draw.randint(1, 4))
    return {"mindscope": asked}


def _whole(port: int, model: str, draw: random.Random, figures: LoadFigures, lock: threading.Lock) -> None:
    """An answer in one piece, of several choices, steered or with log-probabilities."""
    n = draw.choice((1, 1, 1, 3))
    more = draw.choice(({}, _steering(draw), {"logprobs": True, "top_logprobs": 3}, {"temperature": 0}))
    status, content = _ask(port, "POST", "/v1/chat/completions", _chat(model, draw, n=n, **more))
    with lock:
        figures.statuses[status] += 1
        if status == 200:
            reply = json.loads(content)
            assert len(reply["choices"]) == n
            figures.answers |= {f"{reply['id']}/{i}" for i in range(n)}
            if more.get("mindscope", {}).get("monitor"):
                figures.monitored |= {f"{reply['id']}/{i}" for i in range(n)}
        elif status != 503:
            figures.wrong.append(f"whole: {status} {content[:200]!r}")


def _streamed(port: int, model: str, draw: random.Random, figures: LoadFigures, lock: threading.Lock) -> None:
    """A stream that is read to its end, or that the client leaves in the middle."""
    leaves = draw.random() < 0.3
    body = _chat(model, draw, stream=True, **draw.choice(({}, _steering(draw))))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        begin = time.monotonic()
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        reply = connection.getresponse()
        first, name, ended = None, "", False
        for line in reply:
            if not line.startswith(b"data: {"):
                ended = ended or line.startswith(b"data: [DONE]")
                continue
            chunk = json.loads(line[6:])
            name = chunk["id"]
            if first is None and chunk["choices"][0]["delta"].get("content"):
                first = time.monotonic() - begin
                if leaves:
                    break
        with lock:
            figures.statuses[0 if leaves else reply.status] += 1
            if first is not None:
                figures.firsts.append(first)
            if ended:
                figures.answers.add(f"{name}/0")
            elif reply.status != 503 and not leaves:
                figures.wrong.append(f"streamed: {reply.status}, ended early: {name}")
    finally:
        connection.close()


def _completed(
    port: int, model: str, draw: random.Random, figures: LoadFigures, lock: threading.Lock
) -> None:
    """The older route, with several prompts."""
    prompts = [f"Number {draw.randrange(100)} is" for _ in range(draw.choice((1, 2)))]
    body = {"model": model, "prompt": prompts, "max_tokens": 12, "logprobs": 2}
    status, content = _ask(port, "POST", "/v1/completions", body)
    with lock:
        figures.statuses[status] += 1
        if status == 200:
            figures.answers |= {f"{json.loads(content)['id']}/{i}" for i in range(len(prompts))}
        elif status != 503:
            figures.wrong.append(f"completed: {status} {content[:200]!r}")


def _refused(port: int, model: str, draw: random.Random, figures: LoadFigures, lock: threading.Lock) -> None:
    """What cannot be answered."""
    more = draw.choice(({"mindscope": {"steer": "1 nobody"}}, {"n": 10_000}, {"temperature": -1}))
    status, content = _ask(port, "POST", "/v1/chat/completions", _chat(model, draw, **more))
    with lock:
        figures.statuses[status] += 1
        if not 400 <= status < 500:
            figures.wrong.append(f"refused: {status} {content[:200]!r}")


_WAYS: list[Callable[[int, str, random.Random, LoadFigures, threading.Lock], None]] = [
    _whole,
    _whole,
    _streamed,
    _streamed,
    _completed,
    _refused,
]
