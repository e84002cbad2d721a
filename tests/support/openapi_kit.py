"""Asks every route of a server what its OpenAPI document lets ask."""

import contextlib
from typing import Any

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


def ask_routes(schema: Any, mode: Any, examples: int) -> dict[str, set[int]]:
    """The statuses that each route answered with; routes that cannot be asked in this mode are left out."""
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        with contextlib.suppress(Unsatisfiable):  # some routes cannot be asked wrongly, such as /health
            statuses[operation.label] = _ask_route(operation, mode, examples)
    return statuses


def _ask_route(operation: Any, mode: Any, examples: int) -> set[int]:
    statuses: set[int] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        reply = case.call(timeout=60)
        case.validate_response(reply, checks=CHECKS)
        statuses.add(reply.status_code)

    ask()
    return statuses
