"""A sample of every form in which people keep conversations, as the forms' own documentation has them.

Each has what it is read as (roles by their first letters, texts), what is said of it, and a broken variant
with the line that names what is wrong.
"""

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class FormSample:
    name: str
    form: str
    row: dict[str, Any]
    roles: str
    texts: Sequence[str]
    broken: dict[str, Any]
    reason: str
    remarks: Sequence[str] = ()
    rejected: str | None = None
    reasoning: str | None = None


def pack_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": pack_zstd,
}

ASK = {"role": "user", "content": "What color is the sky?"}
BLUE = {"role": "assistant", "content": "It is blue."}
GREEN = {"role": "assistant", "content": "It is green."}
QA = ["What color is the sky?", "It is blue."]
WEATHER_CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'

SAMPLES = (
    FormSample(
        "chat completions",
        "messages",
        {"messages": [{"role": "developer", "content": "Be brief."}, ASK, BLUE]},
        "sua",
        ["Be brief.", *QA],
        {"messages": [ASK, {"role": "robot", "content": "x"}]},
        r"messages\[1\].role is 'robot', one of system",
    ),
    FormSample(
        "parts of content, with an image",
        "messages",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What color is the sky?", "image_url": None},
                        {"type": "image_url", "text": None, "image_url": {"url": "data:image/png;base64,AA"}},
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "It is blue."}]},
            ]
        },
        "ua",
        QA,
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, BLUE]},
        r"messages\[0\].content holds no text, only part 0, which is image_url",
        remarks=["left out: images"],
    ),
    FormSample(
        "calls and results of tools, with null content",
        "messages",
        {
            "messages": [
                {"role": "user", "content": "Weather in Oslo?"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "4 degrees"},
                {"role": "assistant", "content": "It is cold."},
            ],
            "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        },
        "uaua",
        [
            "Weather in Oslo?",
            WEATHER_CALL,
            "<tool_response>\n4 degrees\n</tool_response>",
            "It is cold.",
        ],
        {"messages": [ASK, {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}]},
        "must have a name and arguments",
        remarks=[
            "written as text: calls of tools, whose turns are not learnt",
            "written as text: results of tools",
            "left out: definitions of tools",
        ],
    ),
    FormSample(
        "reasoning beside the answer",
        "messages",
        {"messages": [ASK, {**BLUE, "reasoning_content": "Rayleigh."}]},
        "ua",
        QA,
        {"messages": [{**ASK, "reasoning_content": "Hm."}, BLUE]},
        "only the assistant reasons",
        remarks=["kept apart from the answer: reasoning"],
        reasoning="Rayleigh.",
    ),
    FormSample(
        "reasoning in the answer",
        "messages",
        {
            "messages": [
                ASK,
                {"role": "assistant", "content": "<think>\nRayleigh.\n</think>\n\nIt is blue."},
            ]
        },
        "ua",
        QA,
        {"messages": [ASK, {"role": "assistant", "content": 7}]},
        r"messages\[1\].content must be text, this is a int",
        remarks=["kept apart from the answer: reasoning"],
        reasoning="Rayleigh.",
    ),
    FormSample(
        "Claude's messages",
        "messages",
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "Weather in Oslo?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "I ask.", "signature": "s"},
                        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [
                                {"type": "text", "text": "4"},
                                {"type": "image", "source": {"data": "A"}},
                            ],
                        }
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "It is cold."}]},
            ],
        },
        "suaua",
        [
            "Be brief.",
            "Weather in Oslo?",
            WEATHER_CALL,
            "<tool_response>\n4\n</tool_response>",
            "It is cold.",
        ],
        {"system": 3, "messages": [ASK, BLUE]},
        "system must be text, this is a int",
        remarks=[
            "kept apart from the answer: reasoning",
            "left out: image in results of tools",
            "written as text: calls of tools, whose turns are not learnt",
            "written as text: results of tools",
        ],
    ),
    FormSample(
        "ShareGPT",
        "sharegpt",
        {
            "id": "a_1",
            "conversations": [
                {"from": "human", "value": "What color is the sky?"},
                {"from": "gpt", "value": "It is blue."},
            ],
        },
        "ua",
        QA,
        {"conversations": [{"from": "human"}]},
        r"conversations\[0\].content must be text, this is missing",
    ),
    FormSample(
        "ShareGPT of LLaMA-Factory, with tools",
        "sharegpt",
        {
            "system": "Be brief.",
            "tools": "[]",
            "conversations": [
                {"from": "human", "value": "Weather in Oslo?"},
                {"from": "function_call", "value": '{"name": "get_weather", "arguments": {"city": "Oslo"}}'},
                {"from": "observation", "value": "4 degrees"},
                {"from": "gpt", "value": "It is cold."},
            ],
        },
        "suaua",
        [
            "Be brief.",
            "Weather in Oslo?",
            WEATHER_CALL,
            "<tool_response>\n4 degrees\n</tool_response>",
            "It is cold.",
        ],
        {"conversations": []},
        "conversations must be a list of at least one turn",
        remarks=[
            "written as text: calls of tools, whose turns are not learnt",
            "written as text: results of tools",
            "left out: definitions of tools",
        ],
    ),
    FormSample(
        "LMSYS-Chat-1M",
        "lmsys",
        {
            "conversation_id": "c0",
            "model": "vicuna-13b",
            "conversation": [ASK, BLUE],
            "turn": 1,
            "language": "English",
            "openai_moderation": [{"flagged": False}, {"flagged": False}],
            "redacted": False,
        },
        "ua",
        QA,
        {"conversation_id": "c0", "conversation": [{"role": "user", "content": None}]},
        r"conversation\[0\].content must be text, this is missing",
        remarks=[
            f"columns not read: {name}"
            for name in ("model", "turn", "language", "openai_moderation", "redacted")
        ],
    ),
    FormSample(
        "WildChat",
        "wildchat",
        {
            "conversation_hash": "h",
            "model": "gpt-4",
            "conversation": [
                {
                    **ASK,
                    "language": "English",
                    "toxic": False,
                    "redacted": False,
                    "hashed_ip": "x",
                    "header": {"a": "x"},
                },
                {**BLUE, "language": "English", "toxic": False, "redacted": False, "turn_identifier": 7},
            ],
            "toxic": False,
        },
        "ua",
        QA,
        {"conversation": [{"content": "x", "toxic": False}]},
        r"conversation\[0\].role is None",
        remarks=[
            *(
                f"keys of turns not read: {name}"
                for name in ("language", "toxic", "redacted", "hashed_ip", "header", "turn_identifier")
            ),
            "columns not read: model",
            "columns not read: toxic",
        ],
    ),
    FormSample(
        "Gemini's requests",
        "contents",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "What color is the sky?"}]},
                {"role": "model", "parts": [{"text": "It is blue."}]},
            ],
        },
        "sua",
        ["Be brief.", *QA],
        {"contents": [{"role": "user", "parts": [{"inlineData": {"data": "AA"}}]}]},
        "holds no text, only part 0, which is inlineData",
    ),
    FormSample(
        "TRL's prompt and completion, as texts",
        "prompt-completion",
        {"prompt": "What color is the sky?", "completion": "It is blue."},
        "ua",
        QA,
        {"prompt": "What color is the sky?", "completion": None},
        "completion must be text, this is missing",
    ),
    FormSample(
        "TRL's prompt and completion, as turns, with a label",
        "prompt-completion",
        {"prompt": [ASK], "completion": [BLUE], "label": True},
        "ua",
        QA,
        {"prompt": [], "completion": [BLUE]},
        "prompt must be a list of at least one turn",
        remarks=["columns not read: label"],
    ),
    FormSample(
        "Alpaca",
        "alpaca",
        {
            "instruction": "Name the color.",
            "input": "the sky",
            "output": "It is blue.",
            "system": "Be brief.",
            "history": [["Hello", "Hi"]],
        },
        "suaua",
        ["Be brief.", "Hello", "Hi", "Name the color.\n\nthe sky", "It is blue."],
        {"instruction": "Name the color.", "input": 3, "output": "It is blue."},
        "input must be text, this is a int",
    ),
    FormSample(
        "Dolly",
        "alpaca",
        {"instruction": "Name the color.", "context": "the sky", "response": "It is blue.", "category": "qa"},
        "ua",
        ["Name the color.\n\nthe sky", "It is blue."],
        {"instruction": "Name the color.", "context": "the sky"},
        "found instruction, context",
        remarks=["columns not read: category"],
    ),
    FormSample(
        "questions and answers",
        "question-answer",
        {"question": "What color is the sky?", "answer": "It is blue."},
        "ua",
        QA,
        {"question": "What color is the sky?", "answer": ["It is blue.", 3]},
        r"answer\[0\] must be an object",
    ),
    FormSample(
        "input and output",
        "input-output",
        {"input": [{"role": "system", "content": "Be brief."}, ASK], "output": "It is blue."},
        "sua",
        ["Be brief.", *QA],
        {"input": "What color is the sky?", "output": 3},
        "output must be text, this is a int",
    ),
    FormSample(
        "preference pairs with a prompt, as texts",
        "preference",
        {"prompt": "What color is the sky?", "chosen": "It is blue.", "rejected": "It is green."},
        "ua",
        QA,
        {"prompt": "What color is the sky?", "chosen": "It is blue.", "rejected": 3},
        "rejected must be text, this is a int",
        rejected="It is green.",
    ),
    FormSample(
        "preference pairs with a prompt, as turns",
        "preference",
        {"prompt": [ASK], "chosen": [BLUE], "rejected": [GREEN]},
        "ua",
        QA,
        {"prompt": [ASK], "chosen": [BLUE], "rejected": [ASK]},
        "the rejected answer must end with the assistant's turn",
        rejected="It is green.",
    ),
    FormSample(
        "preference pairs whose prompt is in the turns (UltraFeedback)",
        "preference",
        {
            "prompt": "What color is the sky?",
            "chosen": [ASK, BLUE],
            "rejected": [ASK, GREEN],
            "messages": [ASK, BLUE],
            "score_chosen": 8.0,
        },
        "ua",
        QA,
        {"prompt": "And the sea?", "chosen": [ASK, BLUE], "rejected": [ASK, GREEN]},
        "chosen begins with another prompt than the row has beside it",
        remarks=["columns not read: messages", "columns not read: score_chosen"],
        rejected="It is green.",
    ),
    FormSample(
        "preference pairs as transcripts (HH-RLHF)",
        "preference",
        {
            "chosen": "\n\nHuman: What color is the sky?\n\nAssistant: It is blue.",
            "rejected": "\n\nHuman: What color is the sky?\n\nAssistant: It is green.",
        },
        "ua",
        QA,
        {"chosen": "It is blue.", "rejected": "Green, I think."},
        "chosen and rejected have no prompt",
        rejected="It is green.",
    ),
    FormSample(
        "preference pairs whose prompt is what they begin with (TRL)",
        "preference",
        {"chosen": "The sky is blue.", "rejected": "The sky is black."},
        "ua",
        ["The sky is", "blue."],
        {"chosen": "The sky is", "rejected": "The sky is green."},
        "chosen and rejected have no prompt",
        remarks=["taken as: the prompt, what chosen and rejected begin with"],
        rejected="black.",
    ),
    FormSample(
        "preference pairs of LLaMA-Factory",
        "preference",
        {
            "conversations": [{"from": "human", "value": "What color is the sky?"}],
            "chosen": {"from": "gpt", "value": "It is blue."},
            "rejected": {"from": "gpt", "value": "It is green."},
        },
        "ua",
        QA,
        {"conversations": [{"from": "human", "value": "?"}], "chosen": {"from": "gpt"}, "rejected": "x"},
        "chosen.* must be text, this is missing",
        rejected="It is green.",
    ),
    FormSample(
        "OpenAI's preference files",
        "preferred-output",
        {
            "input": {"messages": [ASK], "tools": [], "parallel_tool_calls": True},
            "preferred_output": [BLUE],
            "non_preferred_output": [GREEN],
        },
        "ua",
        QA,
        {"input": {"tools": []}, "preferred_output": [BLUE], "non_preferred_output": [GREEN]},
        "input.messages must be a list",
        rejected="It is green.",
    ),
    FormSample(
        "prompts alone",
        "prompt-only",
        {"prompt": [ASK], "id": 7},
        "u",
        ["What color is the sky?"],
        {"prompt": "What color is the sky?", "reply": "It is blue."},
        "found prompt, reply: say which column is which",
    ),
)
