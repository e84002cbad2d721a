"""What the small models read: the organism's corpus over a small vocabulary, and random tokens that
repeat.
"""

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mindscope.errors import DataError
from mindscope.models import load
from mindscope.organism import corpus_rows

OFFSET = 7919
"""The seed of held-out text lies this far from that of the text to train on."""


class TokenText:
    """Token streams over a small vocabulary: to train on, and held out.

    Attributes:
        vocabulary: how many ids there are; the last one stands for every token that is not common.
        common: the tokens by their ids, the commonest first.
        train, held: ids.
    """

    def __init__(self, vocabulary: int, train: Sequence[Hashable], held: Iterable[Hashable]) -> None:
        """Number the commonest tokens of what is trained on."""
        self.vocabulary = vocabulary
        self.common = tuple(token for token, _ in Counter(train).most_common(vocabulary - 1))
        self._number = {token: place for place, token in enumerate(self.common)}
        self.train, self.held = self.encode(train), self.encode(held)

    def encode(self, tokens: Iterable[Hashable]) -> Int[Tensor, "tokens"]:
        """The ids of tokens."""
        return torch.tensor([self._number.get(token, self.vocabulary - 1) for token in tokens])

    def draw(
        self,
        stream: Int[Tensor, "tokens"],
        shape: tuple[int, int, int],
        n_text: int,
        generator: torch.Generator,
    ) -> Int[Tensor, "seeds rows tokens"]:
        """`n_text` rows of text, then rows that repeat; `shape` is seeds, rows of both kinds, tokens."""
        seeds, rows, tokens = shape
        text = cut_text(stream, (seeds, n_text, tokens), generator)
        repeats = draw_repeats(self.vocabulary, (seeds, rows - n_text, tokens), generator)
        return torch.cat([text, repeats], 1)


class StudyText(TokenText):
    """The organism's corpus; its tokens are ids of the organism's tokenizer."""

    def __init__(self, vocabulary: int, n_tokens: int, seed: int) -> None:
        """Read the corpus.

        Args:
            vocabulary: how many tokens are told apart.
            n_tokens: of text to train on; a sixth as many are held out, and 10,000 at least.
            seed: of the corpus.
        """
        held = _read_tokens(max(10_000, n_tokens // 6), seed + OFFSET)
        super().__init__(vocabulary, list(_read_tokens(n_tokens, seed)), held)

    def read_more(self, n_tokens: int, seed: int) -> Int[Tensor, "tokens"]:
        """Ids of other texts of the corpus, in the same vocabulary; `seed` is of the draw."""
        return self.encode(_read_tokens(n_tokens, seed))


def cut_text(
    stream: Int[Tensor, "tokens"], shape: tuple[int, int, int], generator: torch.Generator
) -> Int[Tensor, "seeds rows tokens"]:
    """Rows of text from random places on; `shape` is seeds, rows, tokens."""
    starts = torch.randint(len(stream) - shape[2], (*shape[:2], 1), generator=generator)
    return stream[starts + torch.arange(shape[2])]


def draw_repeats(
    vocabulary: int, shape: tuple[int, int, int], generator: torch.Generator
) -> Int[Tensor, "seeds rows tokens"]:
    """Random tokens that begin again after 4 to half of the tokens, whatever the row says."""
    seeds, rows, tokens = shape
    segments = torch.randint(vocabulary, (seeds, rows, tokens // 2), generator=generator)
    lengths = torch.randint(4, tokens // 2 + 1, (seeds, rows, 1), generator=generator)
    return segments.gather(2, torch.arange(tokens).expand(seeds, rows, -1) % lengths)


def split_held(
    text: TokenText, context: int, most: int
) -> tuple[Int[Tensor, "read tokens"], Int[Tensor, "tested tokens"]]:
    """Held-out text as rows that share no token: its first half to read rules from, its second to test them.

    Seeds and kinds read the same rows.

    Raises:
        DataError: it is too short for two rows.
    """
    count = min(most, len(text.held) // context // 2)
    if count < 1:
        raise DataError(f"{len(text.held)} tokens are held out: two rows of {context} are needed")
    rows = text.held[: 2 * count * context].view(2 * count, context)
    return rows[:count], rows[count:]


def name_tokens(text: TokenText, tokenizer: Any = None) -> list[str]:
    """How a reader knows each id: between quotes; the last two are any rarer token, and no token yet.

    Args:
        text: whose ids.
        tokenizer: whose ids the text's tokens are; without one they are words.
    """
    common = [tokenizer.decode([token]) if tokenizer else str(token) for token in text.common]
    names = [f"“{word.replace(chr(10), '↵')}”" for word in common]
    return [*names, *["“”"] * (text.vocabulary - 1 - len(names)), "a rare token", "the beginning"]


def _read_tokens(count: int, seed: int) -> Iterator[int]:
    """The corpus's tokens, row after row."""
    end = random.Random(seed).randrange(2**31)
    given = 0
    for row in corpus_rows(load("organism"), seed=end):
        for token in row.ids:
            yield token
            given += 1
            if given == count:
                return
