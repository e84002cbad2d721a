"""Whatever the OpenAPI document allows is answered with a status that it names, and never with a 5xx."""

import openapi_kit
import pytest
import schemathesis
import server_kit

ROUTES = 8


@pytest.fixture(scope="module")
def schema(make_service):
    with server_kit.serving(make_service(max_tokens=8, max_choices=2, body_bytes=65536)) as live:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{live.port}/openapi.json")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_undocumented_answer(schema, mode):
    """Requests that fit the document, and requests that do not."""
    statuses = openapi_kit.ask_routes(schema, mode, examples=20)
    assert len(statuses) >= (ROUTES if mode.value == "positive" else ROUTES - 4)
    if mode.value == "positive":
        assert 200 in statuses["GET /v1/models"]
