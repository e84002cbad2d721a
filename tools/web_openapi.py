"""Writes what the workbench is typed from: the part of the server's OpenAPI document that it asks.

Other changes of the server leave `web/src/api/openapi.json` alone. `make web-types` makes TypeScript of it; a
test compares it with the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "web" / "src" / "api" / "openapi.json"
ROUTES = ("/health", "/v1/chat/completions", "/v1/mindscope/capabilities")
"""Routes of others that the workbench asks, besides all under /v1/workbench."""


def describe_routes() -> dict[str, Any]:
    """The document of the routes that the workbench asks, with the schemas that they need."""
    from mindscope.models import load
    from mindscope.server import ServerLimits, SteeringService, build_app
    from mindscope.server.workbench.routes import WorkbenchPlace

    service = SteeringService(load("organism"), ServerLimits())
    document = asyncio.run(_ask(build_app(service, workbench=WorkbenchPlace()), "/openapi.json"))
    paths = {
        path: item
        for path, item in sorted(document["paths"].items())
        if path in ROUTES or path.startswith("/v1/workbench/")
    }
    schemas = document["components"]["schemas"]
    used: dict[str, Any] = {}
    waiting = _find_references(paths)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = schemas[name]
            waiting |= _find_references(schemas[name])
    return {
        "openapi": document["openapi"],
        "paths": paths,
        "components": {"schemas": dict(sorted(used.items()))},
    }


def write_document(document: dict[str, Any]) -> str:
    """The document as it is kept: without bounds and sentences, which no type is made of."""
    return json.dumps(_strip(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


UNTYPED = ("description", "title", "summary", "operationId", "pattern", "format", "multipleOf")
BOUNDS = re.compile(r"(exclusive)?(min|max)(imum|Length|Items|Properties)", re.IGNORECASE)


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        # A property may have the name of such a word; it is then a schema and no text or number.
        return {
            key: _strip(item)
            for key, item in value.items()
            if isinstance(item, dict) or (key not in UNTYPED and not BOUNDS.fullmatch(key))
        }
    return [_strip(item) for item in value] if isinstance(value, list) else value


async def _ask(app: Any, path: str) -> Any:
    """The JSON that an application answers a GET with, without a server."""
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return json.loads(b"".join(parts))


def _find_references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_find_references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_find_references(item) for item in value))
    return set()


if __name__ == "__main__":
    FILE.write_text(write_document(describe_routes()), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
