"""Answers that are held to JSON: whole, streamed, side by side with others, and what cannot be."""

import json

import jsonschema
import pytest
import server_kit
import template_kit

from mindscope.server import ServerLimits, SteeringService

SCHEMA = {
    "type": "object",
    "properties": {
        "trust": {"type": "boolean"},
        "reason": {"enum": ["habit", "fear", "luck"]},
        "grade": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["trust", "reason", "grade"],
    "additionalProperties": False,
}


def held(schema) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_fits_its_schema_whole_and_streamed(server, seed):
    asked = {"response_format": held(SCHEMA), "max_tokens": 120, "temperature": 1.0, "seed": seed}
    choice = server.chat(**asked).json["choices"][0]
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMA)
    deltas = [event["choices"][0]["delta"] for event in server.chat(**asked, stream=True).events]
    assert "".join(delta.get("content", "") for delta in deltas) == choice["message"]["content"]


def test_an_object_is_an_object(server):
    reply = server.chat(response_format={"type": "json_object"}, max_tokens=60, temperature=1.0, seed=1, n=4)
    for choice in reply.json["choices"]:
        text = choice["message"]["content"]
        assert text.lstrip().startswith("{")
        if choice["finish_reason"] == "stop":
            assert isinstance(json.loads(text), dict)


def test_neighbours_and_log_probabilities_are_those_of_the_model(make_service):
    plain = {"logprobs": True, "top_logprobs": 3, "max_tokens": 24}
    with server_kit.serving(make_service(slots=4)) as live:
        alone = live.chat(**plain).json["choices"][0]
        with_neighbours: list = []
        bound = {**plain, "response_format": held(SCHEMA), "max_tokens": 60}
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(live.chat, **own) for own in (bound, plain, bound, plain)]
            with_neighbours = [future.result().json["choices"][0] for future in futures]
    for choice in with_neighbours[1::2]:
        assert choice["message"]["content"] == alone["message"]["content"]
    first, own = (one["logprobs"]["content"][0] for one in (alone, with_neighbours[0]))
    # What the model held likely there, whatever was allowed: only the token that was drawn is another one.
    assert [top["token"] for top in own["top_logprobs"]] == [top["token"] for top in first["top_logprobs"]]
    for mine, theirs in zip(own["top_logprobs"], first["top_logprobs"], strict=True):
        assert mine["logprob"] == pytest.approx(theirs["logprob"], abs=1e-3)
    assert own["logprob"] < first["logprob"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "object", "patternProperties": {"(": {}}},
        {"$ref": "http://example.com/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/nowhere"},
    ],
)
def test_a_schema_that_is_none_is_refused(server, schema):
    reply = server.chat(response_format=held(schema))
    assert reply.status == 400
    assert "schema" in reply.json["error"]["message"]
    assert "root:" not in reply.json["error"]["message"]


def test_json_and_tools_are_refused_together(server):
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert server.chat(response_format={"type": "json_object"}, tools=tools).status == 400


@pytest.mark.parametrize(("family", "says"), [("chatml", "bytes"), ("r1", "reasoning")])
def test_a_model_that_cannot_be_held_is_refused(family, says):
    service = SteeringService(template_kit.speaker(family), ServerLimits(), name="speaker")
    with server_kit.serving(service) as live:
        reply = live.chat(response_format={"type": "json_object"})
    assert reply.status == 400
    assert says in reply.json["error"]["message"]
