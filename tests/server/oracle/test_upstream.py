"""A sidecar passes on what another server says, and reads of it what the model reads of the whole answer."""

import json

import pytest
import server_kit
from endpoint_kit import FakeEndpoint

from mindscope.features import FeatureSet
from mindscope.monitoring import Monitor, Policy
from mindscope.server.log.writer import MonitorLog
from mindscope.server.upstream import UpstreamServer

QUESTION = "Should I trust my neighbour?"


@pytest.fixture(scope="module")
def behind(make_service):
    with server_kit.serving(make_service()) as live:
        yield live


@pytest.mark.parametrize("stream", [False, True])
def test_what_passes_is_watched_with_the_same_alarms(
    make_service, behind, organism, watched, stream, tmp_path
):
    service = make_service(level=0.5)
    service.log = MonitorLog(str(tmp_path / "log.sqlite"))
    with server_kit.serving(service, upstream=UpstreamServer(behind.url)) as live:
        reply = live.chat(QUESTION, stream=stream, max_tokens=20, mindscope={"monitor": True})
    plain = behind.chat(QUESTION, max_tokens=20).json["choices"][0]["message"]["content"]
    if stream:
        text = "".join(c["delta"].get("content") or "" for e in reply.events for c in e["choices"])
        said = reply.events[-1]["choices"][0]["mindscope"]
    else:
        (choice,) = reply.json["choices"]
        text, said = choice["message"]["content"], choice["mindscope"]
    assert text == plain
    calibration = server_kit.thresholds(FeatureSet(watched), 0.5)
    row = organism.chat([{"role": "user", "content": QUESTION}], plain)
    (seen,) = Monitor(watched, calibration).read(organism, [[row]])
    tokens = seen.trace.turns[0].tokens
    assert said["readings"]["evil"]["tokens"] == pytest.approx(tokens[:, 0].tolist(), rel=2e-3, abs=2e-3)
    assert [(e["kind"], e["token"]) for e in said["events"]] == [(e.kind, e.token) for e in seen.events]
    assert said["events"]
    assert service.log.n_written == 1


def test_a_stream_ends_at_an_alarm_and_a_whole_answer_is_withheld(make_service, behind):
    service = make_service(level=0.5, policy=Policy("stop"))
    with server_kit.serving(service, upstream=UpstreamServer(behind.url)) as live:
        streamed = live.chat(QUESTION, stream=True, max_tokens=200, mindscope={"monitor": True})
        whole = live.chat(QUESTION, max_tokens=20)
    assert streamed.events[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert streamed.events[-1]["choices"][0]["mindscope"]["halted"]
    (choice,) = whole.json["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "content_filter")


def test_keys_stay_where_they_belong_and_refusals_pass(make_service, watched, endpoint, reply):
    with server_kit.serving(
        make_service(), upstream=UpstreamServer(endpoint.url, "the-key"), token="mine"
    ) as live:
        mine = {"Authorization": "Bearer mine"}
        body = {"model": "any", "messages": [{"role": "user", "content": "a"}], "mindscope": {}}
        live.ask("POST", "/v1/chat/completions", body, mine)
        for fields in (
            {"mindscope": {"steer": "1 evil"}},
            {"mindscope": {"x": 1}},
            {"messages": [{"role": "tool"}]},
        ):
            refused = live.ask("POST", "/v1/chat/completions", {**body, **fields}, mine)
            assert refused.status == 400, refused.body
    assert len(endpoint.requests) == 1
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert headers["authorization"] == "Bearer the-key"
    assert "mindscope" not in json.dumps(endpoint.requests)


def test_a_server_that_does_not_answer_is_said(make_service):
    with server_kit.serving(make_service(), upstream=UpstreamServer("http://127.0.0.1:9/v1")) as live:
        refused = live.chat(QUESTION)
    assert refused.status == 503
    assert refused.json["error"]["code"] == "upstream_unavailable"


def test_a_server_that_comes_back_is_asked_again(make_service):
    first = FakeEndpoint()
    with server_kit.serving(make_service(), upstream=UpstreamServer(first.url)) as live:
        assert live.chat(QUESTION).status == 200
        first.close()
        gone = live.chat(QUESTION)
        assert (gone.status, gone.json["error"]["code"]) == (503, "upstream_unavailable")
        second = FakeEndpoint(first.port)
        try:
            back = live.chat(QUESTION)
        finally:
            second.close()
    assert back.status == 200
    assert back.json["choices"][0]["message"]["content"] == "50"
