"""Addresses of servers: what is none is refused by whoever asks for one, in a line."""

import pytest

from mindscope.core import parse_http_address
from mindscope.errors import DataError, JudgeError
from mindscope.judges.address import EndpointAddress
from mindscope.library import LibraryShelf
from mindscope.server.conform.clients import SteeringClient
from mindscope.server.log.webhook import AlarmWebhook
from mindscope.server.upstream import UpstreamServer

NONE = [
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:port/v1",
    "http://127.0.0.1:/v1",
    "http://[::1/v1",
    "http:///v1",
    "http://two words/v1",
]
"""No addresses, though each begins as one."""


@pytest.mark.parametrize("address", [*NONE, "127.0.0.1:8000", "ftp://127.0.0.1", ""])
def test_what_is_none(address):
    with pytest.raises(ValueError, match=r"."):
        parse_http_address(address)


def test_parts_and_the_path_as_it_is_sent():
    parts = parse_http_address("https://[::1]:8000/案例/a%20b/v1")
    assert (parts.hostname, parts.port, parts.path) == ("::1", 8000, "/%E6%A1%88%E4%BE%8B/a%20b/v1")


@pytest.mark.parametrize("address", NONE)
@pytest.mark.parametrize(
    ("take", "error"),
    [
        (lambda address: SteeringClient(address, "mindscope", "model"), DataError),
        (AlarmWebhook, DataError),
        (UpstreamServer, DataError),
        (EndpointAddress, JudgeError),
        (LibraryShelf, DataError),
    ],
    ids=["conform", "webhook", "upstream", "judge", "library"],
)
def test_whoever_asks_for_an_address_refuses_what_is_none(address, take, error):
    with pytest.raises(error, match="address") as caught:
        take(address)
    assert "\n" not in str(caught.value)
