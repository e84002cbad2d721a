"""Answers that are JSON: tokens that would lead elsewhere are never drawn.

What a schema allows after some tokens is worked out by llguidance, over the bytes of the tokenizer's tokens.
"""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from mindscope.errors import ModelError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from mindscope.models import Model, TokenConstraint

_BLANKS = r"( |\n[ \t]{0,20})?"
"""What may stand between values: a blank, or a line break and what pretty printing sets in by. Without a
bound, a model that is lost writes blanks until it is cut."""


class JsonAnswers:
    """Makes the constraints of one model's answers."""

    def __init__(self, model: "Model"):
        self._model = model
        self._lock = threading.Lock()
        self._tokens: LLTokenizer | None = None

    def constraint(self, schema: Mapping[str, Any]) -> "Callable[[], TokenConstraint]":
        """What makes the constraint of an answer that fits a JSON schema. It takes a second the first time.

        Raises:
            ModelError: the tokenizer or the schema is none that this can be done with.
        """
        from llguidance import LLMatcher

        tokens = self._tokenizer()
        grammar = ""
        try:
            grammar = LLMatcher.grammar_from_json_schema(
                dict(schema), overrides={"whitespace_pattern": _BLANKS}
            )
            wrong = LLMatcher.validate_grammar(grammar, tokens)
        except (ValueError, RecursionError) as error:
            wrong = str(error)
        if wrong:
            raise ModelError(f"the JSON schema cannot be held to: {' '.join(wrong.split())[:200]}")
        size = self._model.vocab_size
        return lambda: _JsonConstraint(LLMatcher(tokens, grammar, log_level=0), size)

    def _tokenizer(self) -> "LLTokenizer":
        from llguidance.hf import from_tokenizer

        with self._lock:
            if self._tokens is None:
                ends, size = sorted(self._model.eos_ids), self._model.vocab_size
                try:
                    self._tokens = from_tokenizer(self._model.tokenizer, n_vocab=size, eos_token=ends)
                except ValueError as error:
                    raise ModelError(
                        "answers of this model cannot be held to JSON: the bytes of its tokens are not known "
                        f"({error})"
                    ) from error
            return self._tokens


class _JsonConstraint:
    def __init__(self, matcher: "LLMatcher", n_tokens: int):
        self._matcher, self._n_tokens = matcher, n_tokens
        self._bits = np.zeros((1, -(-n_tokens // 32)), np.int32)

    def allowed(self) -> Bool[np.ndarray, "vocabulary"]:
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._matcher, self._bits)
        self._require_sound()
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")
        return bits[: self._n_tokens].astype(bool)

    def take(self, token: int) -> None:
        self._matcher.consume_token(token)
        self._require_sound()

    def _require_sound(self) -> None:
        if self._matcher.is_error():
            raise ModelError(
                f"the answer cannot be held to its JSON schema: {self._matcher.get_error()[:200]}"
            )
