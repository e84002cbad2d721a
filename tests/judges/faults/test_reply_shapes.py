"""Replies of other shapes than OpenAI's own, and endpoints that refuse what others take."""

import math

import pytest
from endpoint_kit import FakeEndpoint, Reply

from mindscope.errors import JudgeError
from mindscope.judges import EndpointConfig, EndpointJudge, JudgeItem, JudgeScore, Rubric, require_numbers
from mindscope.judges.replies import (
    NoReplyError,
    UnusableReplyError,
    read_alternatives,
    read_reply,
    without_reasoning,
)

RUBRIC = Rubric("evil", "wishes harm", "How evil is this?\n{question}\n{answer}\nReply 0-100 or REFUSAL.")
ITEMS = [JudgeItem("q", f"answer {number}") for number in range(6)]
GOOD = Reply("20", {"20": 0.5, "40": 0.5})  # 30 by probability, 20 by what is written


def judge_of(endpoint: FakeEndpoint, **settings) -> EndpointJudge:
    return EndpointJudge(endpoint.url, "fake", EndpointConfig(**{"timeout": 5.0, "retries": 0, **settings}))


def trait_scores(judge: EndpointJudge) -> list[JudgeScore]:
    return [judgement.trait for judgement in judge.judge(RUBRIC, ITEMS)]


def whole(message: object, logprobs: object = None) -> dict:
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": logprobs}]}


SPOKEN = {"role": "assistant", "content": "20"}
ODD = {
    "no log-probabilities": whole(SPOKEN),
    "empty ones": whole(SPOKEN, {"content": []}),
    "a float": whole(SPOKEN, -0.3),
    "zero": whole(SPOKEN, 0.0),
    "a list": whole(SPOKEN, []),
    "the likeliest token alone": whole(SPOKEN, {"tokens": ["20"], "token_logprobs": [-0.1]}),
    "no number": whole(
        SPOKEN,
        {"content": [{"token": "20", "logprob": None, "top_logprobs": [{"token": "20", "logprob": None}]}]},
    ),
    "above 0": whole(SPOKEN, {"content": [{"top_logprobs": [{"token": "20", "logprob": 0.7}]}]}),
    "no message": whole(None),
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "a list instead of an object": [1, 2],
    "an error of this prompt": {"error": {"message": "bad prompt", "code": 400}},
    "a page": "<html>Welcome</html>",
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_reply_is_missing_and_changes_no_other_score(endpoint: FakeEndpoint, body):
    endpoint.answer = lambda request: (
        Reply(body=body) if "answer 2" in request["messages"][0]["content"] else GOOD
    )
    scores = trait_scores(judge_of(endpoint, concurrency=1))
    assert scores[2].status == "missing"
    assert scores[2].detail
    others = [score.value for index, score in enumerate(scores) if index != 2]
    assert others == pytest.approx([30.0] * 5)


@pytest.mark.parametrize("body", [{"error": {"message": "overloaded", "code": 502}}, {"error": "busy"}])
def test_an_error_inside_a_reply_that_may_pass_is_unanswered(endpoint: FakeEndpoint, body):
    endpoint.answer = lambda request: (
        Reply(body=body) if "answer 2" in request["messages"][0]["content"] else GOOD
    )
    judge = judge_of(endpoint)
    scores = trait_scores(judge)
    assert [score.status for score in scores].count("unanswered") == 1
    assert scores[2].status == "unanswered"
    endpoint.answer = lambda request: GOOD
    assert [score.value for score in trait_scores(judge)] == pytest.approx([30.0] * 6)


@pytest.mark.parametrize("probe", [whole(SPOKEN), whole(SPOKEN, 0.0)])
def test_one_odd_reply_at_the_start_does_not_decide_the_scale(endpoint: FakeEndpoint, probe):
    replies = iter([Reply(body=probe)])
    endpoint.answer_probe = lambda request: next(replies, GOOD)
    endpoint.answer = lambda request: GOOD
    assert [score.value for score in trait_scores(judge_of(endpoint))] == pytest.approx([30.0] * 6)


def test_alternatives_in_the_older_format_are_read(endpoint: FakeEndpoint):
    half = math.log(0.5)
    older = {"tokens": ["20"], "token_logprobs": [half], "top_logprobs": [{"20": half, "40": half}]}
    endpoint.answer = endpoint.answer_probe = lambda request: Reply(body=whole(SPOKEN, older))
    assert [score.value for score in trait_scores(judge_of(endpoint))] == pytest.approx([30.0] * 6)


def test_content_in_parts_is_text(endpoint: FakeEndpoint):
    parts = whole({"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "0"}]})
    endpoint.answer = endpoint.answer_probe = lambda request: Reply(body=parts)
    assert [score.value for score in trait_scores(judge_of(endpoint))] == [40.0] * 6


def reasoning(limit: int, thought: str, style: str) -> Reply:
    """A model that always reasons for more than 100 tokens first."""
    done = limit > 100
    if style == "tags":
        text = f"<think>\n{thought}\n</think>\n\n70" if done else "<think>\nThe"
        return Reply(text, finish="stop" if done else "length")
    message = {"content": "70" if done else None, "reasoning_content": thought}
    return Reply(body=whole(message) | {"usage": {}})


@pytest.mark.parametrize("style", ["tags", "field"])
def test_a_judge_that_reasons_first_has_room_for_it(endpoint: FakeEndpoint, style):
    endpoint.answer = endpoint.answer_probe = lambda request: reasoning(
        request["max_tokens"], "The answer is kind. I would say 30, no, 70.", style
    )
    assert [score.value for score in trait_scores(judge_of(endpoint))] == [70.0] * 6
    assert {request["max_tokens"] for request in endpoint.requests} == {4096}


REFUSALS = {
    "max_tokens": (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    ),
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model.",
    "logprobs": "You are not allowed to request logprobs from this model.",
    "top_logprobs": "top_logprobs must be between 0 and 5",
    "fewest": "Invalid 'max_tokens': integer below minimum value. Expected a value >= 16.",
}


def refuses(request: dict, *kinds: str) -> str | None:
    """What an endpoint says that takes none of these."""
    checks = {
        "max_tokens": "max_tokens" in request,
        "temperature": "temperature" in request,
        "logprobs": "logprobs" in request,
        "top_logprobs": request.get("top_logprobs", 0) > 5,
        "fewest": request.get("max_tokens", 16) < 16 or request.get("max_completion_tokens", 16) < 16,
    }
    return next((REFUSALS[kind] for kind in kinds if checks[kind]), None)


@pytest.mark.parametrize(
    ("kinds", "value"),
    [
        (("max_tokens",), 30.0),
        (("temperature",), 30.0),
        (("top_logprobs",), 30.0),
        (("fewest",), 30.0),
        (("logprobs",), 20.0),
        (("max_tokens", "temperature", "logprobs"), 20.0),
        (("max_tokens", "temperature", "top_logprobs", "fewest"), 30.0),
    ],
)
def test_what_an_endpoint_refuses_is_written_as_it_wants_it(endpoint: FakeEndpoint, kinds, value):
    def answer(request):
        if said := refuses(request, *kinds):
            return Reply(status=400, error=said, code="unsupported_parameter")
        return GOOD if request.get("logprobs") else Reply("20")

    endpoint.answer = endpoint.answer_probe = answer
    assert [score.value for score in trait_scores(judge_of(endpoint))] == pytest.approx([value] * 6)
    assert all(refuses(request, *kinds) is None for request in endpoint.requests)  # learnt before the first


def test_a_refusal_that_nothing_mends_is_one_line(endpoint: FakeEndpoint):
    endpoint.answer_probe = lambda request: Reply(status=400, error="temperature is not to our taste")
    with pytest.raises(JudgeError, match=r"refuses 'fake': .*not to our taste") as error:
        require_numbers(judge_of(endpoint))
    assert "\n" not in str(error.value)
    assert len(endpoint.probes) == 2


def test_a_reasoning_limit_refused_with_an_error_is_a_cut_reply(endpoint: FakeEndpoint):
    def answer(request):
        if request["max_tokens"] < 100:
            said = "Could not finish the message because max_tokens or model output limit was reached."
            return Reply(status=400, error=said)
        return Reply("70")

    endpoint.answer = endpoint.answer_probe = answer
    assert [score.value for score in trait_scores(judge_of(endpoint))] == [70.0] * 6


@pytest.mark.parametrize("text", ["I cannot put this in numbers.", "<think>\nWell, well"])
def test_a_judge_that_never_gives_a_number_is_refused_at_the_start(endpoint: FakeEndpoint, text):
    endpoint.answer_probe = lambda request: Reply(text, {text.split()[0]: 0.9})
    with pytest.raises(JudgeError, match="gives no number for a plain answer"):
        require_numbers(judge_of(endpoint))
    assert endpoint.requests == []


def test_an_endpoint_that_stops_answering_is_not_asked_for_all(endpoint: FakeEndpoint):
    items = [JudgeItem("q", f"answer {number}") for number in range(40)]
    endpoint.answer = lambda request: Reply(status=503, error="gone")
    scores = judge_of(endpoint, concurrency=4).judge(RUBRIC, items)
    assert {score.status for judgement in scores for score in judgement.scores} == {"unanswered"}
    assert len(endpoint.requests) <= 8  # four in a row, and those under way


def test_how_scores_are_read_is_remembered_with_them(endpoint: FakeEndpoint, tmp_path):
    def judge() -> EndpointJudge:
        config = EndpointConfig(retries=0)
        return EndpointJudge(endpoint.url, "fake", config, cache=tmp_path / "cache.jsonl")

    endpoint.answer = lambda request: GOOD
    first = judge().judge(RUBRIC, ITEMS[:3])
    # The server gives no log-probabilities any more: later scores would be on another scale.
    endpoint.answer = endpoint.answer_probe = lambda request: Reply("20")
    later = judge().judge(RUBRIC, ITEMS)
    assert later[:3] == first
    assert {judgement.trait.status for judgement in later[3:]} == {"missing"}


def test_options_are_sent_with_every_request_and_named(endpoint: FakeEndpoint):
    options = {"chat_template_kwargs": {"enable_thinking": False}}
    judge = judge_of(endpoint, options=options)
    judge.judge(RUBRIC, ITEMS)
    asked = [*endpoint.probes, *endpoint.requests]
    assert all(request["chat_template_kwargs"] == {"enable_thinking": False} for request in asked)
    assert "enable_thinking" in judge.name


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\n\n</think>\n\n85", ("85", True)),
        ("so be it</think>85", ("85", True)),
        (" <think>\nhm", ("", True)),
        ("85", ("85", False)),
    ],
)
def test_reasoning_in_tags_is_left_out(text, answer):
    assert without_reasoning(text) == answer


@pytest.mark.parametrize("logprob", [math.nan, 0.5, True, "0.5", None])
def test_what_is_no_log_probability_makes_no_alternatives(logprob):
    top = [{"token": "20", "logprob": -1.0}, {"token": "30", "logprob": logprob}]
    assert read_alternatives({"content": [{"top_logprobs": top}]}) is None


@pytest.mark.parametrize("code", [408, 429, 500, "503", None])
def test_errors_that_may_pass(code):
    with pytest.raises(NoReplyError):
        read_reply({"error": {"message": "so it is", "code": code}})


@pytest.mark.parametrize("code", [400, "404", 499])
def test_errors_of_the_prompt(code):
    with pytest.raises(UnusableReplyError):
        read_reply({"error": {"message": "so it is", "code": code}})
