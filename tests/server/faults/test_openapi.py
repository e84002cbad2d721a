"""Whatever the OpenAPI document allows is answered with a status that it names, and never with a 5xx."""

import contextlib

import pytest
import schemathesis
import server_kit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ROUTES = 8


@pytest.fixture(scope="module")
def schema(make_service):
    with server_kit.serving(make_service(max_tokens=8, max_choices=2, body_bytes=65536)) as live:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{live.port}/openapi.json")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_undocumented_answer(schema, mode):
    """Requests that fit the document, and requests that do not."""
    statuses = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        with contextlib.suppress(Unsatisfiable):  # there is no wrong way to ask for /health
            statuses[operation.label] = ask_all(operation, mode)
    assert len(statuses) >= (ROUTES if mode.value == "positive" else ROUTES - 4)
    if mode.value == "positive":
        assert 200 in statuses["GET /v1/models"]


def ask_all(operation, mode) -> set[int]:
    """Ask one route what its document lets ask; the statuses of its answers."""
    statuses: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        reply = case.call(timeout=60)
        case.validate_response(reply, checks=CHECKS)
        statuses.add(reply.status_code)

    ask()
    return statuses
