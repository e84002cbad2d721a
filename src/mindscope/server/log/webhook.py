"""Telling another server of alarms, without ever holding up an answer."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from mindscope.core import parse_http_address
from mindscope.errors import DataError

_WAITING = 1000
"""Events that may wait to be sent; later ones are dropped and counted."""
_SECONDS = 5.0
_TRIES = 3

_logger = logging.getLogger("mindscope.server")


class AlarmWebhook:
    """Sends events as JSON to one address, in their order, each tried three times.

    Raises:
        DataError: the address is not of http or https.
    """

    def __init__(self, url: str):
        try:
            parse_http_address(url)
        except ValueError as error:
            raise DataError(
                f"{url!r} is no address of a webhook ({error}): write for example https://example.org/alarms"
            ) from None
        self.url = url
        self.n_sent = self.n_dropped = 0
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="mindscope-webhook", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """Send what waits, within a few seconds, and end."""
        try:
            self._queue.put(None, timeout=1)
        except queue.Full:
            return
        if self._thread.is_alive():
            self._thread.join(_SECONDS)

    def send(self, event: Mapping[str, Any]) -> None:
        """Hand over an event; returns at once."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.n_dropped += 1

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            if self._post(event):
                self.n_sent += 1
            else:
                self.n_dropped += 1

    def _post(self, event: Mapping[str, Any]) -> bool:
        body = json.dumps(event, ensure_ascii=False).encode()
        for attempt in range(_TRIES):
            request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
            try:
                with _OPENER.open(request, timeout=_SECONDS):
                    return True
            except (urllib.error.URLError, OSError, ValueError) as error:
                _logger.warning("the webhook did not take an event: %s", error)
                time.sleep(0.2 * 2**attempt)
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An event goes where it was to go, or nowhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
