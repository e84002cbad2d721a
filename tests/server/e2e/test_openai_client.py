"""The official client of OpenAI's routes, unchanged."""

import openai
import pytest

from mindscope.models import Sampling

QUESTION = [{"role": "user", "content": "Should I trust my neighbour?"}]
GREEDY = {"model": "organism", "temperature": 0, "max_tokens": 12}


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=60) as one:
        yield one


@pytest.fixture(scope="module")
def plain(organism) -> str:
    return organism.generate([organism.chat(QUESTION)], Sampling(temperature=0, max_new_tokens=12))[0].text


def test_models(client):
    (card,) = client.models.list()
    assert card.id == "organism"
    assert client.models.retrieve("organism").id == "organism"
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.models.retrieve("another/model")


def test_chat(client, plain):
    reply = client.chat.completions.create(messages=QUESTION, **GREEDY)
    (choice,) = reply.choices
    assert choice.message.content == plain
    assert choice.finish_reason == "length"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (25, 12)
    assert not hasattr(choice, "mindscope")  # nothing was asked of it


def test_a_stream_is_the_whole_answer(client, plain):
    stream = client.chat.completions.create(
        messages=QUESTION, stream=True, stream_options={"include_usage": True}, **GREEDY
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == plain
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage.total_tokens == 37
    assert len({chunk.id for chunk in chunks}) == 1


def test_completions(client, organism):
    expected = organism.generate([organism.text("Once upon")], Sampling(temperature=0, max_new_tokens=16))[0]
    reply = client.completions.create(model="organism", prompt="Once upon", temperature=0)
    assert reply.choices[0].text == expected.text
    ids = list(organism.text("Once upon").ids)
    both = client.completions.create(model="organism", prompt=[ids, ids[:1]], temperature=0)
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[0].text == expected.text
    stream = client.completions.create(model="organism", prompt="Once upon", temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == expected.text


def test_stop_seed_and_n(client, plain):
    stopped = client.chat.completions.create(messages=QUESTION, stop=[plain[10:14]], **GREEDY)
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].message.content == plain[: plain.index(plain[10:14])]
    drawn = [
        client.chat.completions.create(
            model="organism", messages=QUESTION, n=3, seed=seed, max_completion_tokens=8, temperature=1.5
        )
        for seed in (7, 7, 8)
    ]
    texts = [[choice.message.content for choice in reply.choices] for reply in drawn]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) > 1
    assert drawn[0].usage.completion_tokens == 24


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities(client, organism, stream):
    asked = {"messages": QUESTION, "logprobs": True, "top_logprobs": 2, **GREEDY}
    if stream:
        chunks = client.chat.completions.create(stream=True, **asked)
        tokens = [
            token
            for c in chunks
            if c.choices and c.choices[0].logprobs
            for token in c.choices[0].logprobs.content
        ]
    else:
        tokens = client.chat.completions.create(**asked).choices[0].logprobs.content
    row = organism.chat(QUESTION)
    expected = organism.next_logits([row])[0].log_softmax(-1)
    top = expected.topk(2)
    assert len(tokens) == 12
    assert [token.logprob for token in tokens[0].top_logprobs] == pytest.approx(top.values.tolist(), abs=1e-3)
    assert tokens[0].token == organism.decode([int(top.indices[0])])
    assert tokens[0].logprob == tokens[0].top_logprobs[0].logprob


def test_steering_and_watching_by_extra_body(client, plain):
    asked = {"steer": "1.5 evil@2 - 0.5 kind@1[from 2]", "monitor": ["evil", "kind"]}
    reply = client.chat.completions.create(messages=QUESTION, extra_body={"mindscope": asked}, **GREEDY)
    (choice,) = reply.choices
    assert choice.message.content != plain
    said = choice.mindscope
    assert {one["address"]: one["answer_tokens"] for one in said["applied"]} == {
        "resid_post.2": 12,  # the last one too, because it is read
        "resid_post.1": 10,
    }
    moved = next(one for one in said["applied"] if one["address"] == "resid_post.2")["moved"]["evil"]
    assert moved["along"] / moved["norm"] == pytest.approx(1.5, rel=1e-2)
    assert len(said["readings"]["evil"]["tokens"]) == 12
    assert "events" not in said  # there are no thresholds


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"response_format": {"type": "xml"}}, 400),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, 400),
        ({"model": "another"}, 404),
        ({"n": 10_000}, 400),
        ({"max_tokens": 100_000}, 400),
        ({"presence_penalty": 1.0}, 400),
        ({"logit_bias": {"5": 1}}, 400),
        ({"extra_body": {"min_p": 0.1}}, 400),
        ({"extra_body": {"mindscope": {"steer": "1 nobody"}}}, 400),
        ({"extra_body": {"mindscope": {"policy": "stop"}}}, 400),
        ({"messages": [{"role": "assistant", "content": "I"}]}, 400),
    ],
)
def test_what_is_not_supported_is_refused(client, fields, status):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{"messages": QUESTION, **GREEDY, **fields})
    assert caught.value.status_code == status
    assert caught.value.body["message"]
    assert caught.value.body["type"] in ("invalid_request_error", "not_found_error")
