"""Where an endpoint is, said without secrets, and which key is sent there."""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from mindscope.core import parse_http_address
from mindscope.errors import JudgeError

OPENAI_HOST = "api.openai.com"
OPENAI_KEY = "OPENAI_API_KEY"

NO_KEY = "none"
"""Servers of one's own mostly need none, and the client always sends something."""


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """The address of an OpenAI-compatible endpoint, such as ``http://localhost:8000/v1``."""

    url: str

    def __post_init__(self) -> None:
        try:
            parse_http_address(self.url)
        except ValueError as error:
            raise JudgeError(
                f"'{self}' is not an endpoint ({error}): give its address, e.g. http://localhost:8000/v1"
            ) from None

    def __str__(self) -> str:
        """The address without a user, a password or a query, which may hold secrets."""
        try:
            parts = urlsplit(self.url)
        except ValueError:  # which part may hold a secret cannot be said
            return "what was given"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else self.url

    @property
    def host(self) -> str:
        """The name of the machine."""
        return (urlsplit(self.url).hostname or "").rstrip(".")

    @property
    def place(self) -> str:
        """Which server it is, for provenance. One on this machine gets another port at each start."""
        return "this machine" if self.is_loopback else str(self)

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def find_key(self, variable: str | None = None) -> str:
        """The key to send: that of the environment's ``variable`` where one is named for this address.

        OPENAI_API_KEY goes to OpenAI alone, and to nobody else unless it is named.

        Raises:
            JudgeError: the variable is not set.
        """
        if variable is not None:
            if key := os.environ.get(variable):
                return key
            raise JudgeError(
                f"the environment has no {variable}: set it to the key of {self}, or name another variable"
            )
        is_openai = self.host == OPENAI_HOST and urlsplit(self.url).scheme == "https"
        return (os.environ.get(OPENAI_KEY) if is_openai else None) or NO_KEY
