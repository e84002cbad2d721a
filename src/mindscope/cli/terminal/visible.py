r"""Text of models, data and files as a terminal shows it, and never obeys it.

A terminal takes escape sequences for orders: to clear the screen, rename the window, write to the clipboard.
Some characters reorder or hide what stands beside them. They are shown as their code, ``\u001b``, which is
what JSON writes, so that printed JSON stays JSON.
"""

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and newline
    "\u202a-\u202e\u2066-\u2069"  # what overrides the direction of writing
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # halves of characters, which no terminal can be sent
    "]"
)


def as_visible(text: str) -> str:
    """The text with every control character as its code; tabs and newlines stay."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
