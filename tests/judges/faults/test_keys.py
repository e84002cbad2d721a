"""What leaves this machine with a request: one key at most, and nothing else out of the environment."""

import pytest
from endpoint_kit import FakeEndpoint, Reply

from mindscope.errors import JudgeError
from mindscope.judges import EndpointConfig, EndpointJudge, require_numbers

SECRETS = {
    "OPENAI_API_KEY": "sk-SECRET-1",
    "OPENAI_ADMIN_KEY": "sk-SECRET-2",
    "OPENAI_ORG_ID": "org-SECRET-3",
    "OPENAI_PROJECT_ID": "proj-SECRET-4",
    "OPENAI_CUSTOM_HEADERS": "x-gateway-key: SECRET-5",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_nothing_of_the_environment_goes_to_another_server(endpoint: FakeEndpoint):
    require_numbers(EndpointJudge(endpoint.url, "fake"))
    sent = str(endpoint.headers)
    assert "authorization" in sent
    assert "SECRET" not in sent


def test_a_named_key_is_sent_and_is_in_no_name(endpoint: FakeEndpoint, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "sk-lab")
    judge = require_numbers(EndpointJudge(endpoint.url, "fake", EndpointConfig(api_key_env="LAB_KEY")))
    assert endpoint.headers[0]["authorization"] == "Bearer sk-lab"
    assert "sk-lab" not in judge.name


def test_a_refused_key_says_how_one_is_named(endpoint: FakeEndpoint):
    endpoint.answer_probe = lambda request: Reply(status=401, error="no key")
    with pytest.raises(JudgeError, match=r"no key was sent: .*--api-key-env NAME"):
        require_numbers(EndpointJudge(endpoint.url, "fake"))
