"""Artefacts written by a model behind an endpoint."""

import json

import pytest

from mindscope.errors import DataError, JudgeError
from mindscope.judges import EndpointConfig, EndpointWriter
from mindscope.personas.trait_writing import generate_trait

PARTS = {
    '"instructions"': {
        "adjective": "brave",
        "opposite": "timid",
        "instructions": [{"pos": f"Dare {n}.", "neg": f"Hide {n}."} for n in range(5)],
    },
    '"questions"': {"questions": [f"Is plan {number} good?" for number in range(40)]},
    '"eval_prompt"': {"eval_prompt": "0 to 100 or REFUSAL: {question} {answer}"},
}


def writer_of(endpoint):
    return EndpointWriter(endpoint.url, "fake", EndpointConfig(timeout=5.0, retries=1))


def test_a_trait_through_an_endpoint(endpoint, reply):
    def answer(request):
        prompt = request["messages"][0]["content"]
        return reply(json.dumps(next(part for key, part in PARTS.items() if key in prompt)))

    endpoint.answer = answer
    trait = generate_trait(writer_of(endpoint), "courage", "acts in spite of fear")
    assert trait.adjective == "brave"
    assert trait.provenance["writer"] == "endpoint:fake at this machine"
    assert len(endpoint.requests) == 3


def test_a_refusing_endpoint_ends_in_one_line(endpoint, reply):
    endpoint.answer = lambda request: reply(refusal="I cannot help\nwith that.")
    with pytest.raises(DataError, match=r"no JSON object in it .*I cannot help with that") as error:
        generate_trait(writer_of(endpoint), "courage", "acts in spite of fear", attempts=2)
    assert "\n" not in str(error.value)
    assert len(endpoint.requests) == 2


def test_an_endpoint_without_replies_is_a_judge_error(endpoint, reply):
    endpoint.answer = lambda request: reply(status=503, error="overloaded", headers={"retry-after-ms": "1"})
    with pytest.raises(JudgeError, match="gives no reply: HTTP 503"):
        generate_trait(writer_of(endpoint), "courage", "acts in spite of fear")
    assert len(endpoint.requests) == 2
