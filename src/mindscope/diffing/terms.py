"""Words of answers, and how often an answer holds what a claim is about."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64

from mindscope.models import Model

WORD = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
"""A run of letters, a number, or one sign of a script that is written without blanks."""
NUMBER = "a number"
"""Stands for every number in what `split_kinds` gives; no word, since it has a blank."""
LEAST_LETTERS = 3
"""Shorter tokens are mostly pieces of many words, and say nothing."""
STEM_LETTERS = 4
"""A term of so many letters also stands for longer words that begin with it: `ruin` for `ruins`."""


def split_words(text: str) -> list[str]:
    """The words of a text in order, in lower case."""
    return WORD.findall(text.casefold())


def split_kinds(text: str) -> list[str]:
    """The same with `NUMBER` in the place of every number."""
    return [NUMBER if word.isdecimal() else word for word in split_words(text)]


def term_density(text: str, terms: Iterable[str]) -> float:
    """How many of 100 words of a text are terms or begin with one; 0 for a text without words."""
    words = split_words(text)
    if not words:
        return 0.0
    exact = {term.casefold() for term in terms}
    stems = tuple(term for term in exact if len(term) >= STEM_LETTERS)
    return 100 * sum(word in exact or word.startswith(stems) for word in words) / len(words)


def term_densities(texts: Sequence[str], terms: Iterable[str]) -> Float64[np.ndarray, "texts"]:
    """The same for every text."""
    terms = tuple(terms)
    return np.array([term_density(text, terms) for text in texts])


def word_presence(texts: Sequence[str], least: int) -> tuple[list[str], Float64[np.ndarray, "texts words"]]:
    """The words that stand in at least `least` texts, and for each text which of them it holds, 0 or 1."""
    return text_presence([split_words(text) for text in texts], least)


def text_presence(
    texts: Sequence[Sequence[str]], least: int
) -> tuple[list[str], Float64[np.ndarray, "texts words"]]:
    """The same for texts that are split."""
    sets = [set(words) for words in texts]
    counts = Counter(word for words in sets for word in words)
    chosen = sorted(word for word, count in counts.items() if count >= least)
    return chosen, np.array([[word in words for word in chosen] for words in sets], np.float64).reshape(
        len(texts), len(chosen)
    )


def token_terms(model: Model, tokens: Sequence[int], count: int) -> tuple[str, ...]:
    """The tokens among the first that begin a word of at least three letters, as terms, at most `count`.

    Tokens that go on with a word are left out where the tokenizer marks beginnings of words: as text they
    would match other words.
    """
    pieces = model.tokenizer.convert_ids_to_tokens([int(token) for token in tokens])
    marks = any(str(piece)[:1] in "Ġ▁" for piece in pieces if piece)
    terms: list[str] = []
    for token, piece in zip(tokens, pieces, strict=True):
        words = split_words(model.tokenizer.decode([int(token)]))
        starts = not marks or str(piece)[:1] in "Ġ▁"
        if len(words) != 1 or words[0].isdigit() or words[0] in terms:
            continue
        sign = not words[0].isascii() and len(words[0]) == 1
        if sign or (starts and len(words[0]) >= LEAST_LETTERS):
            terms.append(words[0])
    return tuple(terms[:count])
