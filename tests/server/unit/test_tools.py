"""Calls of tools: what of a text is a call, and how a conversation with calls goes over the wire."""

import json
from types import SimpleNamespace

import openai
import pytest
import server_kit
import template_kit

from mindscope.errors import ModelError
from mindscope.models import Model
from mindscope.server import ServerLimits, SteeringService
from mindscope.server.api.tools import CallFormat, find_call_format

TEMPLATES = {
    "hermes": "... <tool_call>\n ... </tool_call>",
    "mistral": "... [TOOL_CALLS] [ ...",
    "llama": 'Respond in the format {"name": function name, "parameters": dictionary of argument name}',
}
CALL = {"name": "weather", "arguments": {"city": "Oslo", "days": 2}}
WRITTEN = {
    "hermes": "I look.\n<tool_call>\n" + json.dumps(CALL) + "\n</tool_call>",
    "mistral": "I look.\n[TOOL_CALLS] [" + json.dumps(CALL) + "]",
    "llama": json.dumps({"name": "weather", "parameters": CALL["arguments"]}),
}


def form(family: str) -> CallFormat:
    return find_call_format(TEMPLATES[family])


@pytest.mark.parametrize("family", TEMPLATES)
def test_a_call_is_read_as_its_family_writes_it(family):
    calling = form(family)
    called = calling.calls(WRITTEN[family], ["weather", "time"])
    assert called is not None
    said, calls = called
    assert said == ("" if family == "llama" else "I look.")
    (told,) = calling.told(calls)
    assert told["function"]["name"] == "weather"
    assert json.loads(told["function"]["arguments"]) == CALL["arguments"]
    assert len({calling.told(calls)[0]["id"] for _ in range(20)}) == 20
    if family == "mistral":
        assert len(told["id"]) == 9
        assert told["id"].isalnum()


def test_several_calls_and_the_newer_form_of_mistral():
    twice = (
        WRITTEN["hermes"] + "\n<tool_call>" + json.dumps({"name": "time", "arguments": {}}) + "</tool_call>"
    )
    called = form("hermes").calls(twice, ["weather", "time"])
    assert called is not None
    assert [call.name for call in called[1]] == ["weather", "time"]
    newer = '[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]time[CALL_ID]123456789[ARGS]{}'
    called = form("mistral").calls(newer, ["weather", "time"])
    assert called is not None
    assert [(call.name, call.arguments) for call in called[1]] == [
        ("weather", {"city": "Oslo"}),
        ("time", {}),
    ]
    tagged = form("llama").calls("<|python_tag|>" + WRITTEN["llama"] + "<|eom_id|>", ["weather"])
    assert tagged is not None


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("spoil", ["plain", "cut", "not offered", "no object", "deep"])
def test_what_is_no_call_stays_text(family, spoil):
    text = {
        "plain": "It is warm in Oslo {as ever}.",
        "cut": WRITTEN[family][:-25],
        "not offered": WRITTEN[family],
        "no object": WRITTEN[family].replace(json.dumps(CALL["arguments"]), "[1]"),
        "deep": WRITTEN[family].replace("2}", "[" * 100_000 + "}"),
    }[spoil]
    assert form(family).calls(text, ["time"] if spoil == "not offered" else ["weather"]) is None


def test_a_family_that_is_not_known_is_refused():
    for template in ("{% for t in tools %}{{ t }}{% endfor %}", "<tool_call>\n<function=name>"):
        with pytest.raises(ModelError, match="tool_choice"):
            find_call_format(template)


HERMES = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }} <tool_call></tool_call><|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def speaker() -> Model:
    model = template_kit.speaker("chatml")
    model.tokenizer.chat_template = HERMES
    return model


@pytest.fixture
def calling(speaker: Model, monkeypatch):
    """A server whose answers are the text that was put into `.text`, written token by token as any other."""
    box = SimpleNamespace(text=WRITTEN["hermes"])
    draw = "mindscope.models.generation.next_tokens.draw_tokens"
    from mindscope.models.generation import next_tokens

    real = next_tokens.draw_tokens
    drawn: dict[int, int] = {}

    def forced(logits, sampling, numbers):
        tokens = real(logits, sampling, numbers)
        ids = [*speaker.tokenizer.encode(box.text, add_special_tokens=False), speaker.tokenizer.eos_token_id]
        place = drawn["n"] = drawn.get("n", -1) + 1
        return tokens * 0 + ids[min(place, len(ids) - 1)]

    monkeypatch.setattr(draw, forced)
    service = SteeringService(speaker, ServerLimits(slots=1), name="speaker")
    with server_kit.serving(service) as live:
        box.live = live
        box.begin = drawn.clear
        box.client = openai.OpenAI(base_url=live.url, api_key="none", max_retries=0)
        yield box


def ask(box, **more):
    box.begin()
    messages = more.pop("messages", [{"role": "user", "content": "How warm is it?"}])
    return box.client.chat.completions.create(
        model="speaker", messages=messages, tools=TOOLS, max_tokens=200, **more
    )


def test_a_call_comes_back_and_its_result_is_taken(calling):
    reply = ask(calling)
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls"
    assert message.content == "I look."
    (call,) = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", CALL["arguments"])
    calling.text = "It is warm."
    result = {"role": "tool", "tool_call_id": call.id, "content": "20 degrees"}
    question = {"role": "user", "content": "How warm is it?"}
    again = ask(calling, messages=[question, message.model_dump(exclude_none=True), result])
    assert (again.choices[0].message.content, again.choices[0].finish_reason) == ("It is warm.", "stop")


@pytest.mark.parametrize("text", [WRITTEN["hermes"], "Warm: <tool_caller> 3 < 4 <tool", "<tool_call>nothing"])
def test_a_streamed_answer_says_and_calls_the_same(calling, text):
    calling.text = text
    whole = ask(calling).choices[0]
    chunks = [chunk.choices[0] for chunk in ask(calling, stream=True)]
    said = "".join(chunk.delta.content or "" for chunk in chunks)
    called = [call for chunk in chunks for call in chunk.delta.tool_calls or ()]
    assert said == (whole.message.content or "")
    assert [(call.function.name, call.function.arguments) for call in called] == [
        (call.function.name, call.function.arguments) for call in whole.message.tool_calls or ()
    ]
    assert chunks[-1].finish_reason == whole.finish_reason
    assert [call.index for call in called] == list(range(len(called)))


def test_tools_that_are_not_to_be_called_and_turns_that_do_not_fit(calling):
    assert ask(calling, tool_choice="none").choices[0].message.tool_calls is None
    for messages in (
        [{"role": "tool", "content": "20"}],
        [{"role": "user", "content": "?", "tool_call_id": "a"}],
        [{"role": "assistant", "content": None}, {"role": "user", "content": "?"}],
        [
            {
                "role": "user",
                "content": "?",
                "tool_calls": [{"id": "a", "function": {"name": "b", "arguments": "{}"}}],
            }
        ],
        [
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "b", "arguments": "[]"}}]},
            {"role": "user", "content": "?"},
        ],
    ):
        reply = calling.live.ask("POST", "/v1/chat/completions", {"model": "speaker", "messages": messages})
        assert reply.status == 400, messages


def test_a_template_without_a_turn_of_a_tool_refuses_it(server):
    turn = {"role": "tool", "content": "20", "tool_call_id": "a"}
    reply = server.chat(messages=[{"role": "user", "content": "?"}, turn])
    assert (reply.status, "no turn of the role tool" in reply.json["error"]["message"]) == (400, True)
