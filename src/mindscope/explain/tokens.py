"""How tokens are written where people look at them one by one."""

from typing import Any


def vocabulary(tokenizer: Any, size: int) -> list[str]:
    """What each token id adds to a text, with its leading space; special tokens by their names.

    A token that is part of a character is shown as the tokenizer names it, and an id without a token as its
    number in angle brackets.
    """
    # Some tokenizers drop the space that opens a text, so each token is looked at behind another one.
    anchor = tokenizer.encode("a", add_special_tokens=False)[:1]
    before = tokenizer.decode(anchor)
    known = min(size, len(tokenizer))
    texts = tokenizer.batch_decode([[*anchor, i] for i in range(known)], skip_special_tokens=False)
    names: list[str | None] = tokenizer.convert_ids_to_tokens(list(range(known)))
    found: list[str] = []
    for i, (text, name) in enumerate(zip(texts, names, strict=True)):
        added = text[len(before) :] if text.startswith(before) else ""
        found.append((name or f"<{i}>") if not added or "\ufffd" in added else added)
    return found + [f"<{i}>" for i in range(known, size)]


def shown(text: str) -> str:
    """A token inside a sentence: no outer spaces, and line ends as signs."""
    return text.strip(" ").replace("\n", "⏎").replace("\t", "⇥") or "␣"
