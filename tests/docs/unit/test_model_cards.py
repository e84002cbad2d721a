"""The cards are of the files that are shipped."""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "src" / "mindscope"
CARDS = (ROOT / "docs" / "model_cards.md").read_text("utf-8")


def test_the_digests_are_of_the_files():
    named = re.findall(r"`(organism/[\w/.]+\.safetensors)` `([0-9a-f]{12})`", CARDS)
    assert len(named) == 13
    for name, digest in named:
        assert hashlib.sha256((PACKAGE / name).read_bytes()).hexdigest().startswith(digest), name


def test_every_weight_that_is_shipped_has_a_card():
    shipped = {file.relative_to(PACKAGE).parts[:3] for file in PACKAGE.rglob("*.safetensors")}
    for parts in shipped:
        *_, folder, last = parts
        name = last.removesuffix(".safetensors")
        owner, most = ("second-organism", 5) if folder == "second_dictionaries" else ("organism", 3)
        assert (
            name in ("model",)
            or f"`{owner}:{name}`" in CARDS
            or (name.startswith("sae.") and f"`{owner}:sae.0` to `{owner}:sae.{most}`" in CARDS)
        )
    assert {parts[0] for parts in shipped} == {"organism"}


def test_every_judge_that_a_command_takes_has_a_card():
    for judge in ("exact", "contrast", "model:NAME", "endpoint:NAME"):
        assert f"| `{judge}` |" in CARDS
