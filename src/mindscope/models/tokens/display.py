"""How tokens are written where people look at them one by one."""

from collections.abc import Sequence
from typing import Any


def vocabulary(tokenizer: Any, size: int) -> list[str]:
    """Every token id of a model as `written` gives it; an id without a token as its number in brackets."""
    known = min(size, len(tokenizer))
    return written(tokenizer, range(known)) + [f"<{i}>" for i in range(known, size)]


def written(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """What each token adds to a text, with its leading space; special tokens by their names.

    A token that is part of a character is shown as the tokenizer names it.
    """
    # Some tokenizers drop the space that opens a text, so each token is looked at behind another one.
    anchor = tokenizer.encode("a", add_special_tokens=False)[:1]
    before = tokenizer.decode(anchor)
    texts = tokenizer.batch_decode([[*anchor, i] for i in ids], skip_special_tokens=False)
    names: list[str | None] = tokenizer.convert_ids_to_tokens(list(ids))
    found: list[str] = []
    for i, text, name in zip(ids, texts, names, strict=True):
        added = text[len(before) :] if text.startswith(before) else ""
        found.append((name or f"<{i}>") if not added or "\ufffd" in added else added)
    return found


def shown(text: str) -> str:
    """A token inside a sentence: no outer spaces, and line ends as signs."""
    return text.strip(" ").replace("\n", "⏎").replace("\t", "⇥") or "␣"
