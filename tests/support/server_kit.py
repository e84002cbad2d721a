"""A server on loopback in a thread of this process, for tests that ask it over the wire."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import uvicorn

from mindscope.features import FeatureSet
from mindscope.monitoring import Calibration, Signal
from mindscope.server import SteeringService, build_app


def thresholds(features: FeatureSet, level: float, window: int = 4) -> Calibration:
    """All thresholds at one level; an alarm recovers a little below it."""
    scores = torch.linspace(level - 1, level, 100, dtype=torch.float64)[:, None].expand(-1, len(features))
    signal = Signal(window=window)
    return Calibration(
        features.keys, features.digest(), features.fingerprint, signal, 0.05, "each", scores.contiguous()
    )


@dataclass(frozen=True)
class Reply:
    """An answer over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The objects of a stream, without its last line."""
        lines = [line.removeprefix("data: ") for line in self.body.decode().split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]


@dataclass(frozen=True)
class LiveServer:
    """A server that runs."""

    service: SteeringService
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request with exactly these headers beside the usual ones; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}))
            sent = {"Content-Type": "application/json"} if raw is not None else {}
            if raw is not None:
                sent["Content-Length"] = str(len(raw))
            for name, value in {**sent, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(raw)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def chat(self, content: str = "Should I trust my neighbour?", **fields: Any) -> Reply:
        """Ask a question, greedily."""
        body = {
            "model": self.service.name,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": 12,
            **fields,
        }
        return self.ask("POST", "/v1/chat/completions", body)

    def settle(self) -> None:
        """Wait until nothing is being answered."""
        deadline = time.monotonic() + 30
        while self.service.scheduler.n_open or self.service.scheduler.n_live:
            assert time.monotonic() < deadline, "answers are still being written"
            time.sleep(0.01)


@contextmanager
def serving(service: SteeringService, **options: Any) -> Iterator[LiveServer]:
    """Serve in a thread while the block runs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(build_app(service, **options), log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield LiveServer(service, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()
