"""An OpenAI-compatible server on loopback that says what a test tells it to say."""

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mindscope.judges.probe import PROBE


@dataclass
class Reply:
    """What the server answers: a completion, or an HTTP error, after ``delay`` seconds."""

    text: str = ""
    top: dict[str, float] | None = None  # probabilities of the first token's alternatives
    refusal: str | None = None
    finish: str = "stop"
    status: int = 200
    error: str = ""
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    body: Any = None  # in place of all of the above

    def document(self) -> Any:
        if self.body is not None:
            return self.body
        if self.status != 200:
            return {"error": {"message": self.error, "type": "error", "code": self.code}}
        logprobs = None
        if self.top is not None:
            alternatives = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in self.top.items()]
            logprobs = {"content": [{**alternatives[0], "top_logprobs": alternatives}], "refusal": None}
        message = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        choice = {"index": 0, "finish_reason": self.finish, "message": message, "logprobs": logprobs}
        return {"id": "1", "object": "chat.completion", "created": 0, "model": "fake", "choices": [choice]}


class FakeEndpoint:
    """Counts and keeps the requests; ``answer(request)`` decides each reply.

    What a judge asks first to see whether it works is answered by ``answer_probe`` and kept apart.
    """

    def __init__(self, port: int = 0) -> None:
        self.answer: Callable[[dict[str, Any]], Reply] = lambda request: Reply("50", {"50": 1.0})
        self.answer_probe: Callable[[dict[str, Any]], Reply] = lambda request: Reply("98", {"98": 1.0})
        self.requests: list[dict[str, Any]] = []
        self.probes: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                reply = endpoint.take(request)
                document = reply.document()
                body = (document if isinstance(document, str) else json.dumps(document)).encode()
                try:
                    self.send_response(reply.status)
                    for name, value in {**reply.headers, "content-type": "application/json"}.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client gave up waiting

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, request: dict[str, Any]) -> Reply:
        if PROBE.answer in request["messages"][0]["content"]:
            self.probes.append(request)
            return self.answer_probe(request)
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            reply = self.answer(request)
        time.sleep(reply.delay)
        with self._lock:
            self.at_once -= 1
        return reply

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
