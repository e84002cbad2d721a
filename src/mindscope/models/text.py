"""Text of growing answers: stop strings and streaming."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of ids, special tokens left out."""
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)  # type: ignore


class Stops:
    """Looks for stop strings at the end of an answer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, strings: Sequence[str]):
        self.tokenizer, self.strings = tokenizer, tuple(strings)
        # A token holds at least a byte, so a stop string lies within this many of the last tokens.
        self.window = max((len(string.encode()) for string in strings), default=0) + 8

    def found(self, ids: Sequence[int]) -> bool:
        """Whether the newest token completed a stop string."""
        if not self.strings:
            return False
        tail = decode(self.tokenizer, ids[-self.window :])
        return any(string in tail for string in self.strings)

    def keep(self, ids: Sequence[int]) -> int:
        """How many tokens come before the stop string."""
        kept = len(ids)
        while kept and any(string in decode(self.tokenizer, ids[:kept]) for string in self.strings):
            kept -= 1
        return kept


class Stream:
    """The text of one answer, handed out piece by piece and never taken back."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], start: Sequence[int]):
        self.tokenizer, self.stops, self.start, self.sent = tokenizer, stops, tuple(start), 0
        self.sent = len(decode(tokenizer, self.start))

    def add(self, answer: Sequence[int], *, ended: bool) -> str:
        """The text that an answer of these ids adds to what was handed out before."""
        text = decode(self.tokenizer, (*self.start, *answer))
        if not ended:
            if text.endswith("\ufffd"):  # a character whose last bytes are still to come
                return ""
            held = max(
                (n for stop in self.stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
            )
            text = text[: len(text) - held]
        new = text[self.sent :]
        self.sent = max(self.sent, len(text))
        return new
