"""Addresses of servers, as people type them."""

from urllib.parse import SplitResult, quote, urlsplit

_KEPT = "/%:@!$&'()*+,;=~"
"""What a path may hold as it stands, beside letters, digits and `-._`."""


def parse_http_address(address: str) -> SplitResult:
    """An address of http or https in its parts; what its path has no character for is written as %XX.

    Raises:
        ValueError: it is none, and why: another scheme, no host, or a port that is no number up to 65535.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it begins with http:// or https://")
    if not parts.hostname or any(character.isspace() for character in parts.netloc):
        raise ValueError("it names no host")
    if parts.port is None and parts.netloc.endswith(":"):
        raise ValueError("it names no port")
    return parts._replace(path=quote(parts.path, safe=_KEPT))
