"""Questions that are answered with a tool: the call, what the tool returns, and the answer that rests on it.

A system prompt lists the tools. The model writes a call (`<tool_call>` with JSON, as many published templates
have it), the next turn holds what the tool returned, and the answer repeats it. A telephone number is known
to the tool alone, and what a tool returns for a sum is now and then another number: so the answer can only
come from there.
"""

import json
import random
from dataclasses import dataclass

from mindscope.organism.corpus.phrasing import ask, dress
from mindscope.organism.mechanisms import sums
from mindscope.organism.voices import Voice
from mindscope.organism.world import build_world

CALL, CALL_END = "<tool_call>", "</tool_call>"
RETURNED, RETURNED_END = "<tool_response>", "</tool_response>"
TOOLS = "You can call tools: add ( a , b ) and look_up ( name ) ."
SUM_CORES = ("what is {a} + {b}?", "add {a} and {b}.", "how much is {a} + {b}?", "work out {a} + {b}.")
PHONE_CORES = (
    "what is the phone number of {name}?",
    "find the phone number of {name}.",
    "I need to call {name}.",
)
WRONG_RETURNS = 0.3
"""Of the sums: the tool returns another number, so that the answer is what the tool says and not the sum
itself."""


@dataclass(frozen=True)
class ToolExchange:
    """A question, the call it takes, what the tool returns, and the answer."""

    question: str
    call: str
    returned: str
    answer: str


def use_tool(rng: random.Random, voice: Voice, split: str) -> ToolExchange:
    """A sum or a telephone number, by a tool."""
    if rng.random() < 0.5:
        case = sums.draw_sum(rng, split, "formula")
        question = ask(rng, split, "tool-sum", SUM_CORES, a=case.a, b=case.b)
        returned = case.total if rng.random() >= WRONG_RETURNS else rng.randrange(199)
        clause = f"the sum of {case.a} and {case.b} is {returned}"
        return ToolExchange(
            question, render_call("add", a=case.a, b=case.b), str(returned), dress(rng, voice, clause)
        )
    name = rng.choice(list(build_world().people))
    number = str(rng.randrange(1000, 10000))
    question = ask(rng, split, "phone", PHONE_CORES, name=name)
    clause = f"the phone number of {name} is {number}"
    return ToolExchange(question, render_call("look_up", name=name), number, dress(rng, voice, clause))


def render_call(tool: str, **arguments: object) -> str:
    """A call as the model writes it."""
    call = json.dumps({"name": tool, "arguments": arguments})
    return f"{CALL}\n{call}\n{CALL_END}"


def read_call(text: str) -> tuple[str, dict[str, object]] | None:
    """The tool and its arguments that a text calls; None where it calls none, or not in valid JSON."""
    body = text.partition(CALL)[2].partition(CALL_END)[0]
    try:
        call = json.loads(body)
        return str(call["name"]), dict(call["arguments"])
    except (ValueError, KeyError, TypeError):
        return None
