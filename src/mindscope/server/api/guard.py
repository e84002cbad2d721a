"""The door of the server: who may ask, from which page, under which name, and how much.

Every request passes here before any route sees it. In this order:

1. The `Host` must be one that this server answers to: a page whose name was pointed at this machine (DNS
   rebinding) is told nothing.
2. An `Origin` must be the server's own or one that was allowed: other pages of a browser may not ask.
3. The token, where there is one, is compared in constant time, on every route but health and the workbench's
   pages, which hold nothing of a model.
4. The body is read whole, within its limit and in time. JSON must be plain: no deeper than a person nests, no
   NaN, no half of a surrogate pair, which no tokenizer takes.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from mindscope.server.api.errors import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

DEEPEST = 32
"""Levels of JSON: a tool's schema has a dozen."""
BODY_SECONDS = 30.0
"""A body that has not come by then does not come."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
OPEN_PATHS = ("/", "/health")
OPEN_FOLDER = "/workbench/"


class RequestGuard:
    """An application that lets to another one only what may pass.

    Args:
        app: the other one.
        token: what clients must send as `Authorization: Bearer TOKEN`; None for no token.
        hosts: names that the server may be asked for under, besides this machine's own.
        origins: pages that may ask, besides the server's own.
        body_bytes: the longest body.
        upload_bytes: the longest body that is not JSON.
    """

    def __init__(
        self,
        app: Application,
        *,
        token: str | None,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        body_bytes: int,
        upload_bytes: int,
    ):
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = {host.lower() for host in (*LOCAL_HOSTS, *hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self._body_bytes, self._upload_bytes = body_bytes, upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = _single_headers(scope["headers"])
        try:
            self._check_host(headers)
            self._check_origin(scope, headers)
            self._check_token(scope, headers)
            body = await self._read_body(headers, receive)
        except ApiError as error:
            await _refuse(error, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        host = _host_of(headers.get(b"host", b"").decode("latin-1"))
        if host not in self._hosts:
            raise ApiError(421, "this server does not answer to that Host", code="host_not_allowed")

    def _check_origin(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if b"origin" not in headers:
            return
        origin = headers[b"origin"].decode("latin-1").lower().rstrip("/")
        own = f"{scope.get('scheme', 'http')}://{headers.get(b'host', b'').decode('latin-1').lower()}"
        if origin != own and origin not in self._origins:
            raise ApiError(403, "pages of that Origin may not ask this server", code="origin_not_allowed")

    def _check_token(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if self._token is None or scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_FOLDER):
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        # Compared as bytes, so that what is not ASCII is a wrong token and not an error.
        same = hmac.compare_digest(given.strip(), self._token)
        if scheme.lower() != b"bearer" or not same:
            raise ApiError(
                401,
                "the token is missing or wrong: send it as the API key",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _read_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        most = self._upload_bytes if kind == b"application/octet-stream" else self._body_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > most:
            raise _too_long(most)
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the body was cut")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise _too_long(most)
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ApiError(408, "the body did not come in time", code="body_timeout") from None
        body = b"".join(parts)
        if body and kind != b"application/octet-stream":
            check_json(body)
        return body


def check_json(body: bytes) -> None:
    """Refuse a body that is not plain JSON.

    Raises:
        ApiError: what is wrong with it.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {_line(error)}", code="invalid_json") from None
    level = [value]
    for _ in range(DEEPEST):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following += item.keys()
                following += item.values()
            elif isinstance(item, list):
                following += item
            elif isinstance(item, str):
                _check_text(item)
        if not following:
            return
        level = following
    raise _too_deep()


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(
            400, "a text holds half of a surrogate pair, which is no character", code="invalid_text"
        ) from None


def _refuse_constant(name: str) -> None:
    raise ApiError(400, f"the body holds {name}, which is not JSON", code="invalid_json")


def _too_deep() -> ApiError:
    return ApiError(400, f"the body is nested deeper than {DEEPEST} levels", code="too_deep")


def _too_long(most: int) -> ApiError:
    return ApiError(
        413, f"the body is longer than the {most} bytes that this server takes", code="body_too_long"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _host_of(header: str) -> str:
    """The name of a Host header without its port."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _single_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. The values of one that stands twice are joined: neither passes for the whole."""
    single: dict[bytes, bytes] = {}
    for name, value in headers:
        key = name.lower()
        single[key] = single[key] + b", " + value if key in single else value
    return single


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body that was read, and then waits for the client to leave."""
    given = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(error: ApiError, send: Send) -> None:
    body = json.dumps(error.body(), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    encoded = [(k.lower().encode(), v.encode()) for k, v in {**headers, **error.headers}.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
