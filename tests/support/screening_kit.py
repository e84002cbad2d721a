"""Data and vectors for the screening tests, and dP by raw hooks in float64."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindscope.models import Model
from mindscope.personas import PersonaVectors

CHATS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A friend."}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two and three."},
        {"role": "user", "content": "More, please."},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Why"},
        {"role": "assistant", "content": "Because it is late, très tard."},
    ],
    [{"role": "user", "content": "?"}, {"role": "assistant", "content": "None"}],
]


def chats(count: int) -> list[list[dict[str, str]]]:
    """Single-turn chats of unlike lengths."""
    return [
        [
            {"role": "user", "content": f"Question {i}" + "?" * (i % 7)},
            {"role": "assistant", "content": f"Answer {i * i}" + "!" * (i % 5)},
        ]
        for i in range(count)
    ]


def write(path: Path, conversations: Sequence[Sequence[dict[str, str]]]) -> Path:
    rows = [json.dumps({"id": f"c{i}", "messages": each}) for i, each in enumerate(conversations)]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def vectors(model: Model, *traits: str, seed: int = 0) -> list[PersonaVectors]:
    generator = torch.Generator().manual_seed(seed)
    shape = (model.n_layers, model.d_model)
    return [
        PersonaVectors(
            trait,
            model.fingerprint,
            {"answer_mean": torch.randn(shape, generator=generator)},
            tuple(range(model.n_layers)),
        )
        for trait in traits
    ]


class Oracle:
    """One conversation at a time, one turn at a time, in float64, with a hook on the block itself."""

    def __init__(self, model: Model) -> None:
        self.hf = copy.deepcopy(model.hf).double()
        self.tokenizer: Any = model.tokenizer

    def hidden(self, ids: Sequence[int], layer: int) -> Tensor:
        caught: list[Tensor] = []
        block = self.hf.model.layers[layer]
        handle = block.register_forward_hook(
            lambda _m, _i, out: caught.append(out[0] if isinstance(out, tuple) else out)
        )
        with torch.no_grad():
            self.hf(torch.tensor([list(ids)]))
        handle.remove()
        return caught[0].reshape(len(ids), -1)

    def turns(self, conversation: Sequence[dict[str, str]]) -> list[tuple[list[int], list[int]]]:
        """Prompt and answer ids of every assistant turn."""
        found = []
        for i, message in enumerate(conversation):
            if message["role"] == "assistant":
                text = self.tokenizer.apply_chat_template(
                    list(conversation[:i]), tokenize=False, add_generation_prompt=True
                )
                encode = lambda text: self.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
                found.append((encode(text), encode(message["content"])))
        return found

    def greedy(self, prompt: Sequence[int], most: int) -> list[int]:
        """What the model itself says, without sampling."""
        answer: list[int] = []
        with torch.no_grad():
            while len(answer) < most:
                token = int(self.hf(torch.tensor([[*prompt, *answer]])).logits[0, -1].argmax())
                if token == self.tokenizer.eos_token_id:
                    break
                answer.append(token)
        return answer

    def projections(
        self, prompt: Sequence[int], answer: Sequence[int], vector: Tensor, layer: int
    ) -> tuple[float, float]:
        """(answer mean, last prompt token) along the vector."""
        unit = vector.double() / vector.double().norm()
        along = self.hidden([*prompt, *answer], layer) @ unit
        return along[len(prompt) :].mean().item(), along[len(prompt) - 1].item()
