"""Whatever the workbench's routes let ask is answered with a status that they name, and never with a 5xx."""

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

from mindscope.server.workbench.routes import WorkbenchPlace

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ROUTES = 20


@pytest.fixture(scope="module")
def schema(make_service):
    """Of a server without a folder of runs, which starts no job."""
    with server_kit.serving(make_service(body_bytes=65536), workbench=WorkbenchPlace()) as live:
        document = schemathesis.openapi.from_url(f"http://127.0.0.1:{live.port}/openapi.json")
        yield document.include(path_regex="^/v1/workbench/")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_undocumented_answer(schema, mode):
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        with contextlib.suppress(Unsatisfiable):  # some routes cannot be asked wrongly
            statuses[operation.label] = ask_all(operation, mode)
    assert len(statuses) >= (ROUTES if mode.value == "positive" else ROUTES // 2)
    if mode.value == "positive":
        assert 200 in statuses["GET /v1/workbench/traits"]


def ask_all(operation, mode) -> set[int]:
    """Ask one route what its document lets ask; the statuses of its answers."""
    statuses: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=12,
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
