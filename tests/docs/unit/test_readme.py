"""The README in Chinese gives the same commands, links and code as the one in English, and both are short."""

import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
WORDS_A_MINUTE, CHARACTERS_A_MINUTE = 240, 350
"""How fast people read quietly; commands and code are looked at and not read."""


def commands(page: str) -> list[str]:
    """What stands in blocks without a language, without the comments."""
    blocks = [block for language, block in FENCE.findall(page) if not language]
    return [line.partition(" # ")[0].rstrip() for block in blocks for line in block.splitlines()]


def code(page: str) -> list[tuple[int, str]]:
    """The tokens of the Python that is shown, without its comments."""
    (block,) = [block for language, block in FENCE.findall(page) if language == "python"]
    tokens = tokenize.generate_tokens(io.StringIO(block).readline)
    return [
        (token.type, token.string) for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)
    ]


def text(page: str) -> str:
    """What is read from the top: without code, and without the list of links at the end."""
    return re.sub(r"\]\([^)]*\)|`[^`]*`", " ", FENCE.sub("", page.rpartition("\n## ")[0]))


def test_the_commands_are_the_same():
    assert commands(ENGLISH) == commands(CHINESE)
    assert len(commands(ENGLISH)) > 10


def test_the_python_is_the_same():
    assert code(ENGLISH) == code(CHINESE)


def test_the_links_lead_to_the_same_places_in_the_same_order():
    links = [
        [target for target in re.findall(r"\]\(([^)]+)\)", page) if "README" not in target]
        for page in (ENGLISH, CHINESE)
    ]
    assert links[0] == links[1]


def test_inline_code_is_the_same():
    spans = [sorted(re.findall(r"`([^`\n]+)`", FENCE.sub("", page))) for page in (ENGLISH, CHINESE)]
    assert spans[0] == spans[1]


def test_two_minutes_are_enough_for_each():
    assert len(re.findall(r"[A-Za-z]+", text(ENGLISH))) <= 2 * WORDS_A_MINUTE
    assert len(re.findall(r"[\u4e00-\u9fff]", text(CHINESE))) <= 2 * CHARACTERS_A_MINUTE
