"""One answer of a steered and watched call, as Inspect's logs keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    StopReason,
    TopLogprob,
)
from inspect_ai.tool import ToolInfo

from mindscope.auditing.extension.answering import CallAnswer, CallWatch
from mindscope.auditing.extension.call import AppliedEdit, CallEvent, CallFields, CallReading, CallRecord

if TYPE_CHECKING:
    from mindscope.models import Model
    from mindscope.monitoring import Calibration


def record_call(
    name: str,
    model: Model,
    calibration: Calibration | None,
    answer: CallAnswer,
    fields: CallFields,
    watch: CallWatch | None,
    labels: Sequence[str],
    seed: int,
) -> CallRecord:
    """What was done to one answer and read of it.

    Args:
        name: what the evaluation calls the model.
        model: who answered.
        calibration: the thresholds that events and the policy stand on.
        answer: what came back.
        fields: what the call asked for.
        watch: how the answer was watched.
        labels: what the watched columns are called.
        seed: the answer's.
    """
    import numpy as np

    generation, watched = answer.generation, answer.watched
    record: dict[str, Any] = {
        "model": name,
        "fingerprint": model.fingerprint,
        "seed": seed,
        "steering": fields.steer,
        "applied": [
            AppliedEdit(address=one.address, prompt_tokens=one.n_prompt, answer_tokens=one.n_answer)
            for one in answer.effects
        ],
        "halted": generation.finish == "halted",
        "borrowed": [str(one) for one in model.borrowed],
    }
    if watched is None or watch is None:
        return CallRecord(**record)
    table = np.stack(watched.tokens) if watched.tokens else None
    thresholds = None if calibration is None else calibration.thresholds.tolist()
    readings: dict[str, CallReading] = {}
    for column, label in zip(watch.columns, labels, strict=True):
        own = None if table is None else table[:, column].tolist()
        readings[label] = CallReading(
            before=None if watched.before is None else _short(watched.before[column]),
            mean=_short(sum(own) / len(own)) if own else None,
            highest=_short(max(own)) if own else None,
            tokens=tuple(map(_short, own)) if own and fields.readings == "tokens" else None,
            threshold=None if thresholds is None else _short(thresholds[column]),
        )
    keys = dict(zip((watch.monitor.features.keys[column] for column in watch.columns), labels, strict=True))
    events = [
        CallEvent(
            kind=event.kind,
            feature=keys.get(event.feature, event.feature),
            token=event.token,
            value=_short(event.value),
            level=_short(event.level),
        )
        for event in watched.events
    ]
    pushed = {
        place for edit in generation.controller_edits if isinstance(edit.where, tuple) for place in edit.where
    }
    return CallRecord(
        **record,
        readings=readings,
        events=None if calibration is None else tuple(events),
        policy=None if calibration is None else fields.policy,
        pushed_tokens=len(pushed),
    )


def build_choice(
    name: str,
    model: Model,
    answer: CallAnswer,
    record: CallRecord,
    tools: Sequence[ToolInfo],
    handler: Any,
    config: GenerateConfig,
) -> ChatCompletionChoice:
    """One answer as Inspect takes it, with its record in the message.

    Args:
        name: what the evaluation calls the model.
        model: who answered.
        answer: what came back.
        record: what is known of it.
        tools: those that the answer may call.
        handler: reads the calls; None where there are no tools.
        config: what the call asked for.
    """
    generation = answer.generation
    message = ChatMessageAssistant(content=generation.text, model=name, source="generate")
    if handler is not None:
        message = handler.parse_assistant_response(generation.text, list(tools))
    if generation.reasoning is not None:
        own: list[Content] = [ContentReasoning(reasoning=generation.reasoning)]
        message.content = [*own, ContentText(text=message.text)]
    message.metadata = {**(message.metadata or {}), **record.as_metadata()}
    reason: StopReason = "stop"
    if message.tool_calls:
        reason = "tool_calls"
    elif generation.finish == "length":
        reason = "max_tokens"
    elif generation.finish == "halted":
        reason = "content_filter"
    logprobs = None
    if config.logprobs:
        logprobs = Logprobs(
            content=[
                Logprob(
                    token=model.decode([one.token]),
                    logprob=one.logprob,
                    top_logprobs=[
                        TopLogprob(token=model.decode([token]), logprob=value) for token, value in one.top
                    ]
                    or None,
                )
                for one in answer.logprobs
            ]
        )
    return ChatCompletionChoice(message=message, stop_reason=reason, logprobs=logprobs)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
