"""Whatever the workbench's routes let ask is answered with a status that they name, and never with a 5xx."""

import openapi_kit
import pytest
import schemathesis
import server_kit

from mindscope.server.workbench.routes import WorkbenchPlace

ROUTES = 40


@pytest.fixture(scope="module")
def schema(make_service):
    """Of a server without a folder of runs, which starts no job."""
    with server_kit.serving(make_service(body_bytes=65536), workbench=WorkbenchPlace()) as live:
        document = schemathesis.openapi.from_url(f"http://127.0.0.1:{live.port}/openapi.json")
        yield document.include(path_regex="^/v1/workbench/")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_undocumented_answer(schema, mode):
    statuses = openapi_kit.ask_routes(schema, mode, examples=12)
    assert len(statuses) >= (ROUTES if mode.value == "positive" else ROUTES // 2)
    if mode.value == "positive":
        assert 200 in statuses["GET /v1/workbench/traits"]
