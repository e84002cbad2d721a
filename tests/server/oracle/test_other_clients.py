"""Requests in the forms of EasySteer and Neuronpedia do what plain hooks with the same numbers do."""

import base64
import json
import struct

import openai
import pytest
import torch

from mindscope.models import AnswerTokens, Edit, Sampling

QUESTION = [{"role": "user", "content": "Should I trust my neighbour?"}]


@pytest.fixture(scope="module")
def vector(organism):
    return 2 * torch.randn(organism.d_model, generator=torch.Generator().manual_seed(11))


def answered(organism, edits, tokens=12):
    sampling = Sampling(temperature=0, max_new_tokens=tokens)
    return organism.generate([organism.chat(QUESTION)], sampling, edits=edits)[0].text


def payload(layers: dict[int, torch.Tensor]) -> dict:
    tensors = {
        f"layer.{layer}": {
            "shape": [len(values)],
            "data": base64.b64encode(struct.pack(f"<{len(values)}f", *values.tolist())).decode(),
        }
        for layer, values in layers.items()
    }
    return {"version": 1, "kind": "direction", "tensors": tensors, "extra": {}}


def easysteer(server, vectors, **more):
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        reply = client.chat.completions.create(
            model="organism",
            messages=QUESTION,
            temperature=0,
            max_tokens=12,
            extra_body={"steering": {"vectors": vectors, **more}, "mindscope": {}},
        )
    return reply.choices[0]


@pytest.mark.parametrize(
    ("apply", "where"),
    [
        ({"prompt": "all", "generation": "all"}, "all"),
        ({"prompt": "all"}, "prompt"),
        ({"generation": "all"}, "answer"),
        ({"generation_window": [2, None]}, AnswerTokens(2)),
        ({"prompt_positions": [-1], "generation": "all"}, "response"),
        ({"prompt_window": [-3, None], "exclude_prompt_positions": [-2]}, (22, 24)),
        ({"prompt": "all", "exclude_prompt_window": [1, None]}, (0,)),
        ({"generation_positions": [0, 3]}, (25, 28)),
    ],
)
def test_easysteer_applies_where_it_says(server, organism, vector, apply, where):
    choice = easysteer(server, [{"data": payload({1: vector}), "scale": 1.5, "apply": apply}])
    assert choice.message.content == answered(organism, [Edit("resid_post.1", "add", vector, 1.5, where)])
    assert choice.mindscope["applied"][0]["address"] == "resid_post.1"


@pytest.mark.parametrize(
    ("algorithm", "op"), [("direct", "add"), ("erase", "ablate"), ("replace", "replace")]
)
def test_easysteer_algorithms_and_sources(server, organism, vectors, algorithm, op):
    vector = {
        "source": "evil",
        "algorithm": algorithm,
        "scale": 0.5,
        "layers": [0, 2],
        "normalize": algorithm == "direct",
        "apply": {"generation": "all"},
    }
    own = [vectors["evil"].answer_mean[layer] for layer in (0, 2)]
    used = [one / one.norm() for one in own] if algorithm == "direct" else own
    edits = [
        Edit(f"resid_post.{layer}", op, one, 0.5, "answer") for layer, one in zip((0, 2), used, strict=True)
    ]
    assert easysteer(server, [vector]).message.content == answered(organism, edits)


def test_easysteer_conflicts(server, organism, vector):
    first = {"data": payload({1: vector}), "apply": {"generation_window": [0, 3]}}
    second = {"data": payload({1: -2 * vector}), "apply": {"generation": "all"}}
    one, two = (0, 1, 2), tuple(range(3, 12))
    behind = [tuple(25 + i for i in places) for places in (one, two)]
    priority = [
        Edit("resid_post.1", "add", vector, 1.0, behind[0]),
        Edit("resid_post.1", "add", -2 * vector, 1.0, behind[1]),
    ]
    both = [priority[0], Edit("resid_post.1", "add", -2 * vector, 1.0, "answer")]
    assert easysteer(server, [first, second]).message.content == answered(organism, priority)
    text = easysteer(server, [first, second], conflict="sequential").message.content
    assert text == answered(organism, both)
    with pytest.raises(openai.BadRequestError, match="same tokens"):
        easysteer(server, [first, second], conflict="error")


@pytest.mark.parametrize(
    "vector",
    [
        {"source": "/etc/passwd", "apply": {"prompt": "all"}},
        {"source": "evil", "apply": {}},
        {"source": "evil", "algorithm": "loreft", "apply": {"prompt": "all"}},
        {"apply": {"prompt": "all"}},
        {
            "data": {"kind": "direction", "tensors": {"layer.1": {"shape": [3], "data": "AAAA"}}},
            "apply": {"prompt": "all"},
        },
        {"source": "evil", "apply": {"generation_tokens": [5]}},
    ],
)
def test_easysteer_that_cannot_be_done_is_refused(server, vector):
    with pytest.raises(openai.BadRequestError):
        easysteer(server, [vector])


def test_false_steers_nothing(server, organism):
    reply = server.chat(steering=False)
    assert reply.json["choices"][0]["message"]["content"] == answered(organism, [])


def neuronpedia(server, *, camel=True, **fields):
    body = {
        "prompt": QUESTION,
        "model": "organism",
        "steerMethod": "SIMPLE_ADDITIVE",
        "normalizeSteering": False,
        "types": ["STEERED", "DEFAULT"],
        "nCompletionTokens": 12,
        "temperature": 0,
        "strengthMultiplier": 2.0,
        "freqPenalty": 0.0,
        "seed": 7.0,
        "steerSpecialTokens": True,
        **fields,
    }
    if not camel:
        body = json.loads(
            json.dumps(body)
            .replace("steerMethod", "steer_method")
            .replace("normalizeSteering", "normalize_steering")
            .replace("nCompletionTokens", "n_completion_tokens")
            .replace("strengthMultiplier", "strength_multiplier")
            .replace("freqPenalty", "freq_penalty")
            .replace("steerSpecialTokens", "steer_special_tokens")
            .replace("steeringVector", "steering_vector")
        )
    return server.ask("POST", "/v1/steer/completion-chat", body)


def test_neuronpedia_steers_and_does_not(server, organism, vector):
    own = [{"steeringVector": vector.tolist(), "strength": 0.5, "hook": "blocks.2.hook_resid_pre"}]
    steered = answered(organism, [Edit("resid_post.1", "add", vector, 1.0, "all")])
    reply = neuronpedia(server, vectors=own, nLogprobs=2)
    assert reply.status == 200, reply.body
    outputs = {one["type"]: one for one in reply.json["outputs"]}
    assert outputs["STEERED"]["chatTemplate"][-1] == {"role": "assistant", "content": steered}
    assert outputs["DEFAULT"]["chatTemplate"][-1]["content"] == answered(organism, [])
    assert outputs["STEERED"]["raw"] == reply.json["input"]["raw"] + steered
    assert reply.json["input"]["chatTemplate"] == QUESTION
    assert [len(one["logprobs"]) for one in outputs.values()] == [12, 12]
    assert len(outputs["DEFAULT"]["logprobs"][0]["topLogprobs"]) == 2
    plain = neuronpedia(server, camel=False, vectors=own)
    assert plain.json["outputs"][0]["chat_template"][-1]["content"] == steered
    frames = neuronpedia(server, vectors=own, stream=True).body.decode().split("\n\n")
    last = json.loads(frames[-2].removeprefix("data: "))
    assert last["outputs"][0]["chatTemplate"][-1]["content"] == steered


def test_neuronpedia_methods(server, organism, vector):
    own = [{"steeringVector": vector.tolist(), "strength": 0.5, "hook": "blocks.1.hook_resid_post"}]
    row = organism.chat(QUESTION)
    words = tuple(place for place, role in enumerate(row.roles) if role != "special")
    where = (*words, *range(len(row), len(row) + 12))
    cases = {
        "PROJECTION_CAP": (Edit("resid_post.1", "cap", vector, 1.0, where), own),
        "ORTHOGONAL_DECOMP": (
            Edit("resid_post.1", "ablate", vector, 1.0, where),
            [{**own[0], "strength": 0.0}],
        ),
        "SIMPLE_ADDITIVE": (Edit("resid_post.1", "add", vector / vector.norm(), 1.0, where), own),
    }
    for method, (edit, given) in cases.items():
        reply = neuronpedia(
            server,
            vectors=given,
            steerMethod=method,
            types=["STEERED"],
            steerSpecialTokens=False,
            normalizeSteering=method == "SIMPLE_ADDITIVE",
        )
        assert reply.json["outputs"][0]["chatTemplate"][-1]["content"] == answered(organism, [edit]), method


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"vectors": [], "features": []},
        {"vectors": [{"steeringVector": [1.0], "strength": 1.0, "hook": "blocks.1.hook_resid_post"}]},
        {"vectors": [{"steeringVector": [1.0] * 256, "strength": 1.0, "hook": "blocks.1.attn.hook_z"}]},
        {"vectors": [{"steeringVector": [1.0] * 256, "strength": 1.0, "hook": "../../x"}]},
        {"features": [{"model": "organism", "source": "none", "index": 1, "strength": 1.0}]},
        {"vectors": [], "freqPenalty": 1.0},
        {"vectors": [], "reads": [{"id": "x"}]},
    ],
)
def test_neuronpedia_that_cannot_be_done_is_refused(server, fields):
    assert neuronpedia(server, **fields).status == 400
