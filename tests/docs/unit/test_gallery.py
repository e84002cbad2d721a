"""Every picture of the gallery is there, is shown, and can be taken again."""

import re
from pathlib import Path

import absent

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "gallery.md").read_text("utf-8")
gallery = absent.import_or_skip("gallery", "dev")


def test_the_page_shows_what_is_taken_and_nothing_else():
    shown = re.findall(r"!\[[^\]]+\]\(site/gallery/(\w+)\.png\)", PAGE)
    assert sorted(shown) == sorted(gallery.TAKEN)
    assert sorted(file.stem for file in gallery.PICTURES.glob("*")) == sorted(shown)
    assert sum(file.stat().st_size for file in gallery.PICTURES.glob("*")) < 1_500_000


def test_the_runs_that_are_looked_at_are_made_by_the_page():
    made = "\n".join(gallery.commands())
    source = Path(gallery.__file__).read_text("utf-8")
    for folder in set(re.findall(r"\"(runs/\w+)/", source)):
        assert folder in made
