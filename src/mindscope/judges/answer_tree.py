"""The probability that a model's answer is 0, 1, … 100 or REFUSAL, however its tokenizer writes them.

Write x₁…xₙ for a sequence of tokens that spells the integer k, white space before it left aside. The answer
is k where the model says such a sequence and then no further digit:

    P(k) = Σ_x Π_i p(xᵢ | prompt, x₁…xᵢ₋₁) · (1 − Σ_{t begins with a digit} p(t | prompt, x))

so "8" and then "5" counts for 85 and not for 8, and "85" and then "0" for neither. P(REFUSAL) is the sum of
the products alone. The sequences form a tree. The trees of many prompts are walked side by side: their nodes
of one depth pass through the model together, on the prompts' caches (`models/branches.py`).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mindscope.judges.prompts import REFUSAL
from mindscope.judges.spelling import NUMBERS, AnswerSpellings
from mindscope.models import AnswerBranch, Model, PromptBranches, cache_beginning, length_sorted_batches

_PASSES_A_GROUP = 4
"""Prompts that are walked together hold as many tokens as so many forward passes take well: the nodes of a
few prompts alone would make small passes."""


@dataclass(frozen=True, slots=True)
class AnswerProbabilities:
    """P(k) for the integers 0 to 100, P(REFUSAL), and the likeliest first token as text."""

    numbers: dict[int, float]
    refusal: float
    likeliest: str


class _TreeNode(NamedTuple):
    prompt: int
    branch: AnswerBranch | None  # None at the root
    text: str  # spelled so far
    p: float


class AnswerTree:
    """Computes P(k) and P(REFUSAL) for prompts of one model.

    Args:
        model: the judge.
        beginning: ids that most prompts begin with; they pass through the model once.
        least: a branch less probable than this is not followed; a number that it has spelled counts as ended.
            At 1e-6 all such branches together move a score by less than 0.05. 0 follows every branch.
    """

    def __init__(
        self, model: Model, spellings: AnswerSpellings, beginning: Sequence[int] = (), *, least: float = 1e-6
    ) -> None:
        self._model, self._spellings, self._least = model, spellings, least
        self._beginning = tuple(beginning)
        self._start = cache_beginning(model, self._beginning)

    def __call__(self, ids: Sequence[int]) -> AnswerProbabilities:
        """The probabilities behind the prompt ``ids``."""
        return self.of_many([ids])[0]

    def of_many(self, prompts: Sequence[Sequence[int]]) -> list[AnswerProbabilities]:
        """The probabilities behind each prompt, as if it were alone."""
        answers: dict[int, AnswerProbabilities] = {}
        n_shared = len(self._beginning)
        begun = [tuple(ids[:n_shared]) == self._beginning and len(ids) > n_shared for ids in prompts]
        for is_begun in (True, False):
            own = [i for i, value in enumerate(begun) if value is is_begun]
            size = _PASSES_A_GROUP * self._model.pass_tokens
            for group in length_sorted_batches([len(prompts[i]) for i in own], size):
                chosen = [own[i] for i in group]
                found = self._group([prompts[i] for i in chosen], shared=is_begun)
                answers.update(zip(chosen, found, strict=True))
        return [answers[i] for i in range(len(prompts))]

    def _group(self, prompts: Sequence[Sequence[int]], *, shared: bool) -> list[AnswerProbabilities]:
        branches = PromptBranches(self._model, prompts, self._start if shared else None)
        found: list[dict[str, float]] = [defaultdict(float) for _ in prompts]
        roots = [_TreeNode(i, None, "", 1.0) for i in range(len(prompts))]
        self._walk(branches, roots, branches.logits, found)
        likeliest = branches.logits.argmax(-1).tolist()
        return [
            AnswerProbabilities(
                {number: own[text] for text, number in NUMBERS.items()},
                own[REFUSAL],
                self._model.decode([token]),
            )
            for own, token in zip(found, likeliest, strict=True)
        ]

    def _walk(
        self,
        branches: PromptBranches,
        nodes: Sequence[_TreeNode],
        logits: Float[Tensor, "nodes vocabulary"],
        found: Sequence[dict[str, float]],
    ) -> None:
        """Adds to ``found`` what ends at the nodes or below them; ``logits`` are those behind the nodes."""
        logprobs = logits.float().log_softmax(-1)
        digits = self._spellings.digits.to(logprobs.device)
        followed = logprobs[:, digits].double().exp().sum(-1).tolist()
        below: list[_TreeNode] = []
        for text in dict.fromkeys(node.text for node in nodes):
            lines = [line for line, node in enumerate(nodes) if node.text == text]
            tokens, texts = self._spellings.next(text)
            columns = torch.tensor(tokens, dtype=torch.long, device=logprobs.device)
            own = logprobs[torch.tensor(lines, device=logprobs.device)][:, columns].double().tolist()
            for line, values in zip(lines, own, strict=True):
                node = nodes[line]
                if text in NUMBERS:
                    found[node.prompt][text] += node.p * (1 - followed[line])
                for token, longer, logprob in zip(tokens, texts, values, strict=True):
                    p = node.p * math.exp(logprob)
                    if longer == REFUSAL or (longer in NUMBERS and p < self._least):
                        found[node.prompt][longer] += p
                    elif p >= self._least:
                        branch = AnswerBranch(node.prompt, node.branch, token)
                        below.append(_TreeNode(node.prompt, branch, longer, p))
        of_branch = {node.branch: node for node in below}
        for batch in branches.batches([node.branch for node in below if node.branch is not None]):
            with branches.grown(batch) as grown:
                self._walk(branches, [of_branch[branch] for branch in batch], grown, found)
