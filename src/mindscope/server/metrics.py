"""What a server counts, for Prometheus, and spans by OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from mindscope.server.engine.answer_job import AnswerEnd
    from mindscope.server.service import SteeringService

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServerMetrics:
    """The counters of one server, in a registry of its own."""

    def __init__(self, service: SteeringService):
        self.registry = CollectorRegistry()
        self._model = service.name
        self._requests = Counter(
            "mindscope_requests_total",
            "Requests by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "mindscope_tokens_total", "Tokens by whose they are.", ["kind"], registry=self.registry
        )
        self._ends = Counter(
            "mindscope_answers_total", "Answers by how they ended.", ["finish"], registry=self.registry
        )
        self._events = Counter(
            "mindscope_alarm_events_total",
            "Crossings and recoveries by feature.",
            ["feature", "kind"],
            registry=self.registry,
        )
        self._first = Histogram(
            "mindscope_first_token_seconds",
            "From a request to its first token.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._whole = Histogram(
            "mindscope_answer_seconds",
            "From a request to its last token.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        for name, text, value in (
            ("live", "Answers that are being written.", lambda: service.scheduler.n_live),
            ("open", "Answers that are written or wait.", lambda: service.scheduler.n_open),
            ("slots", "Answers that can be written side by side.", lambda: service.scheduler.slots),
            ("steps", "Passes that wrote a token of every live answer.", lambda: service.scheduler.n_steps),
            ("logged_turns", "Turns in the log.", lambda: service.log.n_written if service.log else 0),
        ):
            Gauge(f"mindscope_{name}", text, registry=self.registry).set_function(value)
        self._tracer = trace.get_tracer("mindscope.server")

    def count_request(self, route: str, status: int) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()

    def count_event(self, feature: str, kind: str) -> None:
        """A reading crossed its threshold, or recovered."""
        self._events.labels(feature, kind).inc()

    def count_answer(self, end: AnswerEnd, operation: str) -> None:
        """An answer ended. Where a tracer is set up, it is a span from its request on."""
        generation = end.generation
        if generation is None:
            return
        n_prompt = generation.row.prompt_length
        n_answer = len(generation.row) - n_prompt
        self._tokens.labels("prompt").inc(n_prompt)
        self._tokens.labels("answer").inc(n_answer)
        self._ends.labels(generation.finish).inc()
        self._whole.observe(end.seconds)
        if end.first_seconds is not None:
            self._first.observe(end.first_seconds)
        now = time.time_ns()
        span = self._tracer.start_span(
            f"{operation} {self._model}",
            kind=trace.SpanKind.SERVER,
            start_time=now - int(end.seconds * 1e9),
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": "mindscope",
                "gen_ai.request.model": self._model,
                "gen_ai.response.model": self._model,
                "gen_ai.response.finish_reasons": [generation.finish],
                "gen_ai.usage.input_tokens": n_prompt,
                "gen_ai.usage.output_tokens": n_answer,
            },
        )
        span.end(now)

    def text(self) -> bytes:
        """Everything in Prometheus' text form."""
        return generate_latest(self.registry)
