"""The probability that a model's answer is 0, 1, … 100 or REFUSAL, however its tokenizer writes them.

Write x₁…xₙ for a sequence of tokens that spells the integer k, white space before it left aside. The answer
is k where the model says such a sequence and then no further digit:

    P(k) = Σ_x Π_i p(xᵢ | prompt, x₁…xᵢ₋₁) · (1 − Σ_{t begins with a digit} p(t | prompt, x))

so "8" and then "5" counts for 85 and not for 8, and "85" and then "0" for neither. P(REFUSAL) is the sum of
the products alone. The sequences form a tree; nodes of one depth pass through the model side by side, over
one cached prompt, and prompts that begin alike share the cache of their beginning.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from mindscope.judges.prompts import REFUSAL
from mindscope.judges.spelling import NUMBERS, AnswerSpellings
from mindscope.models import BatchLayout, Model

_LINES = 64  # most nodes side by side, which bounds the memory of their caches


@dataclass(frozen=True, slots=True)
class AnswerProbabilities:
    """P(k) for the integers 0 to 100, P(REFUSAL), and the likeliest first token as text."""

    numbers: dict[int, float]
    refusal: float
    likeliest: str


class _TreeNode(NamedTuple):
    line: int  # of the parent in its batch
    token: int
    text: str  # spelled so far
    p: float


class AnswerTree:
    """Computes P(k) and P(REFUSAL) for prompts of one model.

    Args:
        model: the judge.
        beginning: ids that most prompts begin with; they pass through the model once.
        least: a branch less probable than this is not followed; a number that it has spelled counts as ended.
        At
            1e-6 all such branches together move a score by less than 0.05. 0 follows every branch.
    """

    def __init__(
        self, model: Model, spellings: AnswerSpellings, beginning: Sequence[int] = (), *, least: float = 1e-6
    ) -> None:
        self._model, self._spellings, self._least = model, spellings, least
        self._beginning = tuple(beginning)
        self._start = self._cache()
        if beginning:
            self._forward([self._beginning], 0, self._start)

    def __call__(self, ids: Sequence[int]) -> AnswerProbabilities:
        """The probabilities behind the prompt ``ids``."""
        ids = tuple(ids)
        shared = len(self._beginning)
        if shared < len(ids) and ids[:shared] == self._beginning:
            cache = copy.deepcopy(self._start)
        else:
            shared, cache = 0, self._cache()
        logits = self._forward([ids[shared:]], shared, cache)
        found: dict[str, float] = defaultdict(float)
        self._walk([_TreeNode(0, ids[-1], "", 1.0)], logits, len(ids), cache, found)
        likeliest = self._model.decode([int(logits[0].argmax())])
        return AnswerProbabilities(
            {number: found[text] for text, number in NUMBERS.items()}, found[REFUSAL], likeliest
        )

    def _walk(
        self,
        nodes: Sequence[_TreeNode],
        logits: Float[Tensor, "nodes vocabulary"],
        length: int,
        cache: DynamicCache,
        found: dict[str, float],
    ) -> None:
        """Adds to ``found`` what ends at the nodes or below them; ``logits`` and ``cache`` are the nodes'."""
        logprobs = logits.float().log_softmax(-1).cpu()
        followed = logprobs[:, self._spellings.digits].double().exp().sum(-1).tolist()
        below: list[_TreeNode] = []
        for line, node in enumerate(nodes):
            if node.text in NUMBERS:
                found[node.text] += node.p * (1 - followed[line])
            tokens, texts = self._spellings.next(node.text)
            for token, text, logprob in zip(
                tokens, texts, logprobs[line, tokens].double().tolist(), strict=True
            ):
                p = node.p * math.exp(logprob)
                if text == REFUSAL or (text in NUMBERS and p < self._least):
                    found[text] += p
                elif p >= self._least:
                    below.append(_TreeNode(line, token, text, p))
        for start in range(0, len(below), _LINES):
            batch = below[start : start + _LINES]
            own = copy.deepcopy(cache)
            own.batch_select_indices(torch.tensor([node.line for node in batch], device=logits.device))
            logits = self._forward([[node.token] for node in batch], length, own)
            self._walk(batch, logits, length + 1, own, found)

    def _forward(
        self, ids: Sequence[Sequence[int]], before: int, cache: DynamicCache
    ) -> Float[Tensor, "lines vocabulary"]:
        """The logits behind lines of equal length that stand behind ``before`` cached tokens."""
        new = np.array(ids, dtype=np.int64)
        positions = np.broadcast_to(np.arange(before, before + new.shape[1]), new.shape)
        layout = BatchLayout(positions, np.full(len(new), before + new.shape[1]))
        with torch.inference_mode():
            logits = self._model.forward_pass(new, layout, None, [], logits=True, cache=cache)
        assert logits is not None
        return logits

    def _cache(self) -> DynamicCache:
        return DynamicCache(config=self._model.hf.config)
