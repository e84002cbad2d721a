"""A sidecar passes on what another server says, and reads of it what the model reads of the whole answer."""

import json

import pytest
import server_kit
import template_kit
from endpoint_kit import FakeEndpoint

from mindscope.features import FeatureSet
from mindscope.monitoring import Monitor, Policy
from mindscope.server import ServerLimits, SteeringService
from mindscope.server.log.writer import MonitorLog
from mindscope.server.upstream import UpstreamServer, _open_watcher

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


def choices_of(message: dict, **more) -> dict:
    """A chat completion of another server with this one choice."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}, **more}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "fake", "choices": [choice]}


CALLS = [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]


def test_clients_that_send_parts_and_answers_that_call_tools_pass(make_service, endpoint, reply):
    with server_kit.serving(make_service(), upstream=UpstreamServer(endpoint.url)) as live:
        plain = live.chat(QUESTION, mindscope={"monitor": True}).json["choices"][0]
        parts = [{"type": "text", "text": QUESTION[:7]}, {"type": "text", "text": QUESTION[7:]}]
        asked = [{"role": "user", "content": parts, "name": "Anna"}]
        parted = live.chat(messages=asked, mindscope={"monitor": True}).json["choices"][0]
        assert parted["mindscope"]["readings"] == plain["mindscope"]["readings"]
        assert endpoint.requests[-1]["messages"] == asked
        picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
        refused = live.chat(messages=[picture])
        assert (refused.status, refused.json["error"]["param"].startswith("messages.0.content")) == (
            400,
            True,
        )
        for message in ({"tool_calls": CALLS}, {"tool_calls": CALLS, "content": None}):
            endpoint.answer = lambda request, message=message: reply(body=choices_of(message))
            called = live.chat(QUESTION, mindscope={"monitor": True})
            assert called.status == 200, called.body
            assert called.json["choices"][0]["message"]["tool_calls"] == CALLS


def test_a_withheld_answer_stands_nowhere_in_the_reply(make_service, endpoint, reply):
    said = {"content": "Crush them all.", "reasoning_content": "Crush them.", "tool_calls": CALLS}
    logprobs = {"content": [{"token": "Crush", "logprob": 0.0, "bytes": None, "top_logprobs": []}]}
    endpoint.answer = lambda request: reply(body=choices_of(said, logprobs=logprobs))
    service = make_service(level=-100.0, policy=Policy("stop"))
    with server_kit.serving(service, upstream=UpstreamServer(endpoint.url)) as live:
        (choice,) = live.chat(QUESTION).json["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": ""}
    assert "Crush" not in json.dumps(choice)


def test_a_conversation_with_calls_is_read_as_its_template_writes_it():
    model = template_kit.speaker("chatml")
    model.tokenizer.chat_template = (
        "{{ tools | tojson if tools else '' }}{% for m in messages %}"
        "<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}\n{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    messages = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "content": "20 degrees", "tool_call_id": "a"},
    ]
    body = {"messages": messages, "tools": tools, "chat_template_kwargs": {"of_another_template": 1}}
    watcher = _open_watcher(SteeringService(model, ServerLimits()), body)
    text = model.decode(watcher.view.chat(watcher.messages).ids, special=True)
    assert json.dumps(tools[0]["function"]["name"]) in text
    assert '"city": "Oslo"' in text
    assert "20 degrees" in text
