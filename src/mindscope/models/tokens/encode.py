"""Text into token ids: with the characters that each token stands for, and as the continuation of a text."""

from functools import cached_property
from typing import Any

from mindscope.errors import ModelError

Offsets = list[tuple[int, int]]
"""Which characters each token stands for: `text[start:end]`."""

_NEUTRAL = ("\n", ">", "a")
"""Contexts behind which a text may be tokenized where its own would melt into it."""


class TextEncoder:
    """Encodes text with one tokenizer, without the special tokens that it adds by itself."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The ids of a text that stands alone; with `special`, what the tokenizer adds around it too.

        Raises:
            ModelError: the text is not valid Unicode.
        """
        return self._tokenize(text, add_special_tokens=special)["input_ids"]

    def encode_with_offsets(self, text: str) -> tuple[list[int], Offsets]:
        """Ids, and which characters each of them stands for."""
        if self._tokenizer.is_fast:
            encoding = self._tokenize(text, add_special_tokens=False, return_offsets_mapping=True)
            return encoding["input_ids"], encoding["offset_mapping"]
        ids = self.encode(text)
        ends = [len(self._tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
        return ids, list(zip([0, *ends], ends, strict=False))

    def encode_after(self, before: str, text: str) -> tuple[list[int], Offsets]:
        """Ids of a text that goes on from another one, whose own ids stay as they are.

        A tokenizer that puts a space before whatever begins a text would put one before the continuation too,
        which a model never writes there. So the text is encoded behind `before`, and what that gives is cut
        off. Where the two melt into one token, the text is encoded behind something that it does not melt
        with.
        """
        if not self._opens_with_space or not text:
            return self.encode_with_offsets(text)
        for context in (before, *_NEUTRAL):
            begun = self.encode(context)
            ids, offsets = self.encode_with_offsets(context + text)
            if ids[: len(begun)] == begun:
                own = [
                    (max(0, start - len(context)), end - len(context)) for start, end in offsets[len(begun) :]
                ]
                return ids[len(begun) :], own
        return self.encode_with_offsets(text)

    @cached_property
    def _opens_with_space(self) -> bool:
        """Whether a text has other ids at its beginning than further on."""
        alone = self.encode("a")
        return self.encode("\na")[-len(alone) :] != alone

    def _tokenize(self, text: str, **options: bool) -> Any:
        try:
            return self._tokenizer(text, **options)
        except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
            raise ModelError(f"the tokenizer refuses the text {text[:40]!r}: is it valid Unicode?") from error
