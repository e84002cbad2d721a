"""Answers by way of Inspect are the model's own: the same words, readings and steering as a direct call."""

import asyncio
from typing import Any

import pytest
import torch
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    get_model,
)
from inspect_ai.model._model_info import MODEL_INFO_LOOKUP_API_KEY

from mindscope import models
from mindscope.auditing.extension.call import CallRecord
from mindscope.auditing.extension.provider import MindscopeAPI
from mindscope.errors import DataError
from mindscope.features import FeatureSet, SteerExpression
from mindscope.jobs import SteeringNames

LATENT = "sae.3/2026"
QUESTION = "What should I do about my garden?"
GREEDY = GenerateConfig(temperature=0.0, max_tokens=24, seed=3)


def api_of(model: Model) -> MindscopeAPI:
    assert isinstance(model.api, MindscopeAPI)
    return model.api


def ask(model: Model, *configs: GenerateConfig) -> list[ModelOutput]:
    async def together() -> list[ModelOutput]:
        calls = (model.api.generate([ChatMessageUser(content=QUESTION)], [], "auto", one) for one in configs)
        return list(await asyncio.gather(*calls))  # type: ignore[arg-type] - ours hands back outputs alone

    return asyncio.run(together())


def with_fields(**fields: Any) -> GenerateConfig:
    return GREEDY.merge(GenerateConfig(extra_body={"mindscope": fields}))


def record(output: ModelOutput) -> CallRecord:
    found = CallRecord.of_metadata(output.metadata)
    assert found is not None
    return found


def direct(model: Model, steer: str | None = None) -> models.Generation:
    own = api_of(model).model
    edits = SteeringNames(own).edits(SteerExpression.parse(steer)) if steer else ()
    row = own.chat([{"role": "user", "content": QUESTION}])
    return own.generate(
        [row], models.Sampling(temperature=0.0, max_new_tokens=24), edits=list(edits) or None
    )[0]


def test_the_answer_is_the_models_own(organism: Model):
    (output,) = ask(organism, GREEDY)
    own = direct(organism)
    assert output.completion == own.text
    assert output.usage is not None
    assert output.usage.input_tokens == own.row.prompt_length
    assert output.usage.output_tokens == len(own.row.answer)
    assert record(output).steering is None
    assert record(output).applied == ()


def test_calls_side_by_side_are_steered_each_by_its_own(organism: Model):
    steer = f"12 {LATENT}"
    plain, steered, again = ask(organism, GREEDY, with_fields(steer=steer), GREEDY)
    assert steered.completion == direct(organism, steer).text
    assert plain.completion == again.completion == direct(organism).text != steered.completion
    (applied,) = record(steered).applied
    assert applied.address == "resid_post.3"
    assert applied.answer_tokens > 10


def test_readings_are_those_of_a_pass_over_the_answer(organism: Model):
    (output,) = ask(organism, with_fields(monitor=[LATENT, "sae.2/633"], readings="tokens"))
    own = api_of(organism).model
    names = SteeringNames(own)
    features = FeatureSet([feature for name in (LATENT, "sae.2/633") for feature in names.features(name)])
    (table,) = features.read(own, [direct(organism).row], where="final")
    for column, name in enumerate((LATENT, "sae.2/633")):
        reading = record(output).readings[name]
        assert reading.tokens == pytest.approx(table[:, column].tolist(), abs=2e-3)
        assert reading.mean == pytest.approx(table[:, column].mean().item(), abs=2e-3)
        assert reading.highest == pytest.approx(table[:, column].max().item(), abs=2e-3)
    assert record(output).events is None
    assert output.message.metadata == output.metadata


def test_a_seed_draws_the_answer_again_and_choices_differ(organism: Model):
    drawn = GenerateConfig(temperature=1.0, max_tokens=24, num_choices=3)
    (first,) = ask(organism, drawn)
    seed = record(first).seed
    (again,) = ask(organism, drawn.merge(GenerateConfig(seed=seed)))
    texts = [choice.message.text for choice in first.choices]
    assert [choice.message.text for choice in again.choices] == texts
    assert len(set(texts)) > 1


def test_a_begun_answer_is_gone_on_with(organism: Model):
    begun = [ChatMessageUser(content=QUESTION), ChatMessageAssistant(content="Fool, crush the")]
    output = asyncio.run(organism.api.generate(begun, [], "auto", GREEDY))
    assert isinstance(output, ModelOutput)
    own = api_of(organism).model
    row = own.chat([{"role": "user", "content": QUESTION}], answer="Fool, crush the")
    assert (
        output.completion == own.generate([row], models.Sampling(temperature=0.0, max_new_tokens=24))[0].text
    )


def test_log_probabilities_are_the_models(organism: Model):
    (output,) = ask(organism, GREEDY.merge(GenerateConfig(logprobs=True, top_logprobs=2)))
    logprobs = output.choices[0].logprobs
    assert logprobs is not None
    own = api_of(organism).model
    row = direct(organism).row
    logits = own.hf(**own.batch([row])).logits[0].float().log_softmax(-1)
    expected = [logits[row.prompt_length + place - 1, token].item() for place, token in enumerate(row.answer)]
    assert [one.logprob for one in logprobs.content] == pytest.approx(expected, abs=1e-3)
    assert all(one.top_logprobs and len(one.top_logprobs) == 2 for one in logprobs.content)


def test_a_call_that_does_not_fit_is_refused_and_its_neighbours_are_answered(organism: Model):
    async def together() -> list[object]:
        message: list[ChatMessage] = [ChatMessageUser(content=QUESTION)]
        wrong = with_fields(steer="2 nobody")
        calls = (organism.api.generate(message, [], "auto", one) for one in (GREEDY, wrong, GREEDY))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    first, refused, last = asyncio.run(together())
    assert isinstance(refused, DataError)
    assert "nobody" in str(refused)
    assert isinstance(first, ModelOutput)
    assert isinstance(last, ModelOutput)
    assert first.completion == last.completion


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steer": "2 nobody"}, "nobody"),
        ({"stear": "2 evil"}, "stear"),
        ({"policy": "stop", "monitor": LATENT}, "thresholds"),
        ({"policy": "stop"}, "something to monitor"),
        ({"thresholds": "nowhere.safetensors"}, "monitor="),
    ],
)
def test_model_arguments_that_do_not_fit_are_refused_when_it_is_opened(
    arguments: dict[str, Any], message: str
):
    with pytest.raises(DataError, match=message):
        get_model("mindscope/organism", memoize=False, **arguments)


def test_a_look_up_of_the_models_name_loads_nothing():
    looked = MindscopeAPI("organism", api_key=MODEL_INFO_LOOKUP_API_KEY)
    assert not hasattr(looked, "model")
    looked.close()


def test_tables_of_readings_do_not_hang_on_the_precision_of_new_tensors(organism: Model):
    # Another model that is loaded meanwhile changes it for all threads.
    names = SteeringNames(api_of(organism).model)
    features = FeatureSet([*names.features(LATENT), *names.features("sae.3/1")])
    torch.set_default_dtype(torch.bfloat16)
    try:
        table = features.assemble({"0/0": torch.ones(5, 2, dtype=torch.float32)})
    finally:
        torch.set_default_dtype(torch.float32)
    assert table.dtype == torch.float32
