"""The text of growing answers: stop strings and streaming."""

from collections.abc import Sequence
from typing import Any


def decode(tokenizer: Any, ids: Sequence[int], *, special: bool = False) -> str:
    """The text of ids; special tokens are left out, or written by their names."""
    return tokenizer.decode(list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False)


class StopStrings:
    """Ends answers at stop strings."""

    def __init__(self, tokenizer: Any, strings: Sequence[str]):
        self.tokenizer, self.strings = tokenizer, strings
        # A token stands for at least a byte, so a stop string lies within this many of the last tokens.
        self.window = max((len(string.encode()) for string in strings), default=0) + 8

    def found(self, ids: Sequence[int]) -> bool:
        """Whether the newest token completed a stop string."""
        return bool(self.strings) and self._begin(decode(self.tokenizer, ids[-self.window :])) is not None

    def cut(self, ids: Sequence[int]) -> tuple[int, str]:
        """How many tokens lie wholly before the stop string, and the text before it."""
        text = decode(self.tokenizer, ids)
        text = text[: self._begin(text)]
        kept = len(ids)
        while kept and len(decode(self.tokenizer, ids[:kept])) > len(text):
            kept -= 1
        return kept, text

    def held(self, text: str) -> int:
        """How many of the last characters may turn out to begin a stop string."""
        starts = (stop[:n] for stop in self.strings for n in range(1, len(stop)))
        return max((len(start) for start in starts if text.endswith(start)), default=0)

    def _begin(self, text: str) -> int | None:
        return min((text.find(string) for string in self.strings if string in text), default=None)


class AnswerStream:
    """The text of one answer, handed out piece by piece and never taken back."""

    def __init__(self, stops: StopStrings):
        self.stops, self.sent = stops, 0

    def add(self, text: str, *, ended: bool) -> str:
        """What an answer that now reads `text` adds to what was handed out before."""
        if not ended:
            if text.endswith("\ufffd"):  # a character whose last bytes are still to come
                return ""
            text = text[: len(text) - self.stops.held(text)]
        new = text[self.sent :]
        self.sent = max(self.sent, len(text))
        return new


_BEFORE = 8  # tokens: more than any character is cut into, and enough to see how words are joined


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; joined they are the text of `ids`.

    A character that several tokens spell belongs to the last of them. Special tokens add nothing. What a
    tokenizer writes and takes back, as a space before a comma, belongs to nobody.
    """
    texts: list[str] = []
    for i in range(len(ids)):
        first = max(0, i - _BEFORE)
        before = decode(tokenizer, ids[first:i]).rstrip("\ufffd")
        after = decode(tokenizer, ids[first : i + 1])
        if after.endswith("\ufffd") and i + 1 < len(ids):
            texts.append("")
            continue
        shared = _shared_length(before, after)
        _take_back(texts, len(before) - shared)
        texts.append(after[shared:])
    return texts


def _shared_length(before: str, after: str) -> int:
    if after.startswith(before):
        return len(before)
    return next(i for i, (old, new) in enumerate(zip(before, after + "\0", strict=False)) if old != new)


def _take_back(texts: list[str], n: int) -> None:
    """Shorten what was added last by `n` characters."""
    for i in reversed(range(len(texts))):
        if n == 0:
            return
        kept = max(0, len(texts[i]) - n)
        n -= len(texts[i]) - kept
        texts[i] = texts[i][:kept]
