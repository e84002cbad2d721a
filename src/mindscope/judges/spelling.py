"""Which tokens spell a judge's answer: an integer from 0 to 100, or REFUSAL.

A tokenizer may hold "85" as one token, with a space before it, or as "8", "5"; a model may use any of these.
"""

import re
from functools import cache
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.errors import JudgeError
from mindscope.judges.prompts import REFUSAL

NUMBERS = {str(number): number for number in range(101)}

_SPACE = " "  # stands for any white space before the answer
_PREFIXES = {target[:end] for target in (*NUMBERS, REFUSAL) for end in range(1, len(target) + 1)}
_TOKEN = re.compile(r"([ \n]{0,2})([0-9]{0,3}|[A-Z]{0,7})")


class AnswerSpellings:
    """The tokens of one tokenizer that begin or go on with an answer.

    Args:
        tokenizer: of a Hugging Face model.

    Raises:
        JudgeError: the tokenizer has no tokens for digits, so its model cannot say a number.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokens: dict[str, list[int]] = {}
        digits = []
        for token, text in enumerate(_texts(tokenizer)):
            if text[:1] in NUMBERS:
                digits.append(token)
            if text and _TOKEN.fullmatch(text):
                self._tokens.setdefault(re.sub(r"^[ \n]+", _SPACE, text), []).append(token)
        self.digits: Int[Tensor, " digits"] = torch.tensor(digits, dtype=torch.long)
        self.next = cache(self._next)
        unspelled = [digit for digit in "0123456789" if digit not in self._tokens]
        if unspelled:
            raise JudgeError(
                f"this tokenizer cannot write {', '.join(unspelled)}: take another model as judge"
            )

    def _next(self, text: str) -> tuple[list[int], list[str]]:
        """The tokens that take ``text``, what was spelled so far, nearer to an answer, and what they make of
        it.

        White space may stand before the answer as part of its first token or as one token of its own.
        """
        tokens: list[int] = []
        texts: list[str] = []
        for piece, spelling in self._tokens.items():
            whole = text + piece
            spelled = whole.removeprefix(_SPACE)
            if spelled in _PREFIXES or whole == _SPACE:
                tokens += spelling
                texts += [spelled or _SPACE] * len(spelling)
        return tokens, texts


def _texts(tokenizer: Any) -> list[str]:
    """What each token adds to a text; alone, many tokenizers drop a token's leading space."""
    before = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = len(_decode(tokenizer, [before])[0])
    return [
        text[start:] for text in _decode(tokenizer, [[*before, token] for token in range(len(tokenizer))])
    ]


def _decode(tokenizer: Any, ids: list[list[int]]) -> list[str]:
    return tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
