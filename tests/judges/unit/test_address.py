"""Where an endpoint is, and which key goes there."""

import pytest

from mindscope.errors import JudgeError
from mindscope.judges.address import EndpointAddress


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    monkeypatch.delenv("ABSENT_KEY", raising=False)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.openai.com/v1", "sk-openai"),
        ("https://API.OpenAI.com/v1", "sk-openai"),
        ("http://api.openai.com/v1", "none"),  # in the clear
        ("https://api.openai.com.evil.example/v1", "none"),
        ("https://evil.example/api.openai.com", "none"),
        ("https://api.openai.com@evil.example/v1", "none"),
        ("https://openrouter.ai/api/v1", "none"),
        ("http://localhost:8000/v1", "none"),
    ],
)
def test_the_key_of_openai_goes_to_openai_alone(url, key):
    assert EndpointAddress(url).find_key() == key


@pytest.mark.parametrize("url", ["https://openrouter.ai/api/v1", "http://10.0.0.7:8000/v1"])
def test_a_key_that_is_named_goes_where_it_is_named_for(url):
    assert EndpointAddress(url).find_key("OTHER_KEY") == "sk-other"
    with pytest.raises(JudgeError, match="no ABSENT_KEY"):
        EndpointAddress(url).find_key("ABSENT_KEY")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host.example/v1?token=secret", "https://host.example/v1"),
        ("http://10.0.0.7:8000/v1", "http://10.0.0.7:8000/v1"),
        ("http://127.0.0.1:8123/v1", "this machine"),
        ("http://[::1]:8123/v1", "this machine"),
        ("http://localhost:9/v1", "this machine"),
        ("http://localhost.evil.example/v1", "http://localhost.evil.example/v1"),
    ],
)
def test_the_address_in_provenance_has_no_secrets(url, shown):
    assert EndpointAddress(url).place == shown


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(JudgeError, match="is not an endpoint"):
        EndpointAddress(url)
