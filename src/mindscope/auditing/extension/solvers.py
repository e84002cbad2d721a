"""Solvers: an answer that is steered and watched, whatever the task."""

from __future__ import annotations

from typing import Any

from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem
from inspect_ai.solver import Generate, Solver, TaskState, solver

from mindscope.auditing.extension.call import KEY


@solver
def steered_answers(
    steer: str | None = None,
    monitor: str | list[str] | None = None,
    policy: str | None = None,
    coefficient: float | None = None,
    readings: str | None = None,
    system: str | None = None,
    prefill: str | None = None,
) -> Solver:
    """Let the model answer, steered by an expression and read by a monitor.

    Fields that are not given stay as the model's arguments have them. Any model provider takes the solver;
    one that is not mindscope's sends `extra_body` on and may refuse it.

    Args:
        steer: what to steer by, such as '0.5 kind - 1.2 evil@14-18'.
        monitor: what to read, as a list or with commas between.
        policy: what an alarm does.
        coefficient: how hard the policy steer pushes.
        readings: `tokens` for a reading of every token.
        system: a system prompt before the conversation.
        prefill: how the answer begins.
    """
    names = [name for name in monitor.split(",") if name] if isinstance(monitor, str) else monitor
    given = {
        "steer": steer,
        "monitor": names,
        "policy": policy,
        "coefficient": coefficient,
        "readings": readings,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if system is not None:
            state.messages.insert(0, ChatMessageSystem(content=system))
        if prefill is not None:
            state.messages.append(ChatMessageAssistant(content=prefill))
        return await generate(state, **({"extra_body": {KEY: fields}} if fields else {}))

    return solve
